//! A drill as it is written: the model, and where each step stands in the file.

use super::{Drill, Load, Problem, Step, default_sla};
use crate::source::{self, Source, SourceError};
use crate::topology::Topology;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A drill with the places of its steps, so that whatever refuses it can point at the line.
#[derive(Debug, Clone)]
pub struct Written {
    /// The drill.
    pub drill: Drill,
    source: Source,
    places: Vec<(u64, u64)>,
}

/// The file, with places. The same keys as [`Drill`], by whose schema it is described.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    topology: String,
    #[serde(default = "default_sla")]
    sla: String,
    #[serde(default)]
    load: Load,
    #[serde(default)]
    soak_ms: u64,
    steps: Vec<Spanned<Step>>,
}

impl Written {
    /// Reads a drill file and refuses what cannot be run on any topology.
    pub fn parse(source: &Source) -> Result<Self, SourceError> {
        let file: File = source::parse_yaml(source)?;
        let place = |step: &Spanned<Step>| (step.defined.line(), step.defined.column());
        let written = Self {
            places: file.steps.iter().map(place).collect(),
            source: source.clone(),
            drill: Drill {
                name: file.name,
                topology: file.topology,
                sla: file.sla,
                load: file.load,
                soak_ms: file.soak_ms,
                steps: file.steps.into_iter().map(|step| step.value).collect(),
            },
        };
        written.drill.check().map_err(|problem| written.at(&problem))?;
        Ok(written)
    }

    /// Refuses what cannot be run on this topology.
    pub fn check_against(&self, topology: &Topology) -> Result<(), SourceError> {
        self.drill.check_against(topology).map_err(|problem| self.at(&problem))
    }

    fn at(&self, problem: &Problem) -> SourceError {
        let place = problem.step.and_then(|index| self.places.get(index)).copied();
        let (line, column) = place.unwrap_or((0, 0));
        self.source.error_at(line, column, problem.to_string())
    }
}
