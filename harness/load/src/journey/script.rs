//! Journeys of files, by weight, as a load walks them.

use super::keys::Known;
use super::walk::Walk;
use super::{Arrival, Journey};
use crate::buyer::Buyer;
use crate::draw::{Weighted, for_operation};
use crate::operation::Ended;
use crate::order_code::{OrderCodes, email_of};
use crate::settings::Settings;
use firedrill_core::ids::OpId;
use firedrill_core::load::Journey as Model;

/// Keeps the choice of a journey apart from everything else that is drawn from the seed.
const CHOICE: u64 = 0x6a6f_7572_6e65_7973;

/// Journeys that cannot be walked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// None of them has a weight.
    #[error("the load has no journey with a weight above 0: nobody would do anything; name one")]
    Nobody,
}

/// One or several journeys by weight. Which of them an arrival walks depends on seed and operation only.
#[derive(Debug)]
pub struct Script {
    name: String,
    journeys: Weighted<Model>,
    codes: OrderCodes,
    seed: u64,
    known: Known,
}

impl Script {
    /// These journeys, each with its weight, in a run with these settings.
    ///
    /// # Errors
    /// A [`ScriptError`] where no journey has a weight.
    pub fn new(settings: &Settings, journeys: Vec<(Model, u32)>) -> Result<Self, ScriptError> {
        let journeys = Weighted::new(journeys).ok_or(ScriptError::Nobody)?;
        let names: Vec<&str> = journeys.iter().map(|journey| journey.name.as_str()).collect();
        Ok(Self {
            name: names.join(", "),
            codes: OrderCodes::new(settings.seed, &settings.run),
            seed: settings.seed,
            known: Known::default(),
            journeys,
        })
    }

    /// The journey of an operation.
    pub fn choose(&self, op: OpId) -> &Model {
        self.journeys.choose(for_operation(self.seed, op, CHOICE))
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }
}

impl Journey for Script {
    fn name(&self) -> &str {
        &self.name
    }

    async fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> Ended {
        let journey = self.choose(arrival.op);
        let code = self.codes.code(arrival.op);
        let email = email_of(&code);
        let has_own_code = journey.buys() && !journey.is_by_web();
        let operation = buyer.begin(arrival, if has_own_code { code } else { String::new() }, email);
        Walk::new(self, journey, buyer, operation).walk().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_core::drill;
    use firedrill_core::ids::RunId;
    use firedrill_core::source::Source;

    fn settings(seed: u64) -> Settings {
        Settings::of(&drill::Load::default(), seed, RunId::new("r")).expect("the usual load")
    }

    fn journey(name: &str) -> Model {
        let text = format!("name: {name}\ndescription: d\nsteps: [{{page: {{group: g, path: /}}}}]");
        Model::parse(&Source::new("j.yaml", text)).expect("a journey")
    }

    #[test]
    fn journeys_are_walked_by_weight() {
        let parts = vec![(journey("a"), 3), (journey("b"), 0), (journey("c"), 1)];
        let script = Script::new(&settings(7), parts.clone()).expect("a script");
        assert_eq!(script.name(), "a, c");
        let names = |script: &Script| (0..10_000).map(|op| script.choose(OpId(op)).name.clone()).collect::<Vec<_>>();
        let chosen = names(&script);
        let share = chosen.iter().filter(|name| *name == "a").count() as f64 / 10_000.0;
        assert!((share - 0.75).abs() < 0.02, "{share}");
        assert!(!chosen.contains(&"b".to_owned()));
        assert_eq!(chosen, names(&Script::new(&settings(7), parts.clone()).expect("a script")));
        assert_ne!(chosen, names(&Script::new(&settings(8), parts).expect("a script")));
    }

    #[test]
    fn a_load_without_journeys_is_refused() {
        assert_eq!(Script::new(&settings(1), Vec::new()).err(), Some(ScriptError::Nobody));
        assert_eq!(Script::new(&settings(1), vec![(journey("a"), 0)]).err(), Some(ScriptError::Nobody));
    }
}
