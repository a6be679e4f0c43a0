//! Images: ordinary Dockerfiles, built through the engine's API, once per content.
//!
//! An image carries the hash of its build context as a label and as a tag. An image with the right hash is
//! not built again; a change of one byte of the context, or another base image, builds it anew.

mod base;
mod context;

pub use base::BASE_IMAGE;
pub use context::ContextError;

use crate::docker::{DockerError, Engine};
use crate::labels;
use crate::progress::Progress;
use bollard::body_full;
use bollard::query_parameters::{BuildImageOptionsBuilder, ListImagesOptionsBuilder, TagImageOptionsBuilder};
use firedrill_core::manifest::Image;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;
use thiserror::Error;

/// An image cannot be had.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The engine refused a call.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The build context cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A step of the Dockerfile failed.
    #[error(
        "image {image}: the build failed: {message}\nlast lines of the build:\n{log}\nfix {dockerfile} or the network, then run the same command again: finished steps are cached"
    )]
    Build {
        /// The image.
        image: String,
        /// Its Dockerfile.
        dockerfile: String,
        /// What the builder said.
        message: String,
        /// The last lines.
        log: String,
    },
    /// The base image can neither be pulled nor made.
    #[error(
        "the base image {BASE_IMAGE} cannot be had: pulling said: {pull}; making it said: {make}; load it by hand (`docker pull {BASE_IMAGE}`), then run the same command again"
    )]
    Base {
        /// Why it cannot be pulled.
        pull: String,
        /// Why it cannot be made.
        make: String,
    },
}

/// What to build: an image name and the folder of its Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipe {
    /// Repository, for example `firedrill/postgres`.
    pub name: String,
    /// Build context.
    pub context: PathBuf,
}

/// The images of a topology, by repository name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Images {
    by_name: BTreeMap<String, Image>,
}

impl Images {
    /// The content-addressed id under which a node is started, so that a tag moved in the meantime does
    /// not matter.
    pub fn id(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|image| image.id.as_str())
    }

    /// The context hash of an image.
    pub fn context(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|image| image.context_sha256.as_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Image> {
        self.by_name.values()
    }
}

/// Builds what is not there yet.
pub async fn ensure(engine: &Engine, recipes: &[Recipe], progress: &dyn Progress) -> Result<Images, ImageError> {
    let base = base::ensure(engine, progress).await?;
    let mut images = Images::default();
    // One after the other: a build is bound by the network and by unpacking, and two at once on a small
    // machine take as long and interleave their lines.
    for recipe in recipes {
        let image = ensure_one(engine, recipe, &base, progress).await?;
        images.by_name.insert(recipe.name.clone(), image);
    }
    Ok(images)
}

/// What there is of these images, without building any: of one that is not there the id is empty, and without the base
/// image (or without an engine) so is the hash of what it is built from, which the base is a part of.
///
/// # Errors
/// Where a build context cannot be read, or the engine not be asked.
pub async fn look(engine: Option<&Engine>, recipes: &[Recipe]) -> Result<Vec<Image>, ImageError> {
    let base = match engine {
        Some(engine) => base::inspect(engine).await?,
        None => None,
    };
    let mut images = Vec::new();
    for recipe in recipes {
        let files = context::read(&recipe.context)?;
        let context_sha256 = base.as_deref().map(|base| context::hash(&files, base)).unwrap_or_default();
        let id = match engine.filter(|_| !context_sha256.is_empty()) {
            Some(engine) => find(engine, &recipe.name, &context_sha256).await?.unwrap_or_default(),
            None => String::new(),
        };
        images.push(Image { name: recipe.name.clone(), id, context_sha256, versions: Vec::new() });
    }
    Ok(images)
}

async fn ensure_one(
    engine: &Engine,
    recipe: &Recipe,
    base: &str,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let files = context::read(&recipe.context)?;
    let hash = context::hash(&files, base);
    let id = match find(engine, &recipe.name, &hash).await? {
        Some(id) => id,
        None => {
            let task = format!("image {}", recipe.name);
            progress.begin(&task);
            let begin = Instant::now();
            build(engine, recipe, &files, &hash, &task, progress).await?;
            progress.end(&task, &format!("built in {:.1} s", begin.elapsed().as_secs_f64()));
            let built = find(engine, &recipe.name, &hash).await?;
            built.ok_or_else(|| build_error(recipe, "the engine does not list the image it built", &[]))?
        }
    };
    let latest = TagImageOptionsBuilder::default().repo(&recipe.name).tag("latest").build();
    let tagged = engine.docker.tag_image(&id, Some(latest)).await;
    tagged.map_err(DockerError::call(format!("tag {}", recipe.name)))?;
    Ok(Image { name: recipe.name.clone(), id, context_sha256: hash, versions: Vec::new() })
}

async fn find(engine: &Engine, name: &str, hash: &str) -> Result<Option<String>, DockerError> {
    let filters = HashMap::from([
        ("label".to_owned(), vec![format!("{}={hash}", labels::CONTEXT)]),
        ("reference".to_owned(), vec![name.to_owned()]),
    ]);
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    let found = engine.docker.list_images(Some(options)).await.map_err(DockerError::call("list images"))?;
    Ok(found.into_iter().next().map(|image| image.id))
}

async fn build(
    engine: &Engine,
    recipe: &Recipe,
    files: &[context::File],
    hash: &str,
    task: &str,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let tar = context::tar(files)?;
    let options = BuildImageOptionsBuilder::default()
        .t(&format!("{}:{}", recipe.name, &hash[..12]))
        .labels(&HashMap::from([(labels::CONTEXT, hash)]))
        .buildargs(&proxy_args())
        .rm(true)
        .forcerm(true)
        .build();
    let mut lines = engine.docker.build_image(options, None, Some(body_full(tar.into())));
    let mut log: Vec<String> = Vec::new();
    while let Some(line) = lines.next().await {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Err(build_error(recipe, &error.to_string(), &log)),
        };
        if let Some(text) = line.stream {
            for text in text.lines().filter(|text| !text.trim().is_empty()) {
                progress.update(task, text);
                log.push(text.to_owned());
            }
        }
        if let Some(message) = line.error_detail.and_then(|detail| detail.message) {
            return Err(build_error(recipe, &message, &log));
        }
    }
    Ok(())
}

fn build_error(recipe: &Recipe, message: &str, log: &[String]) -> ImageError {
    ImageError::Build {
        image: recipe.name.clone(),
        dockerfile: recipe.context.join("Dockerfile").display().to_string(),
        message: message.to_owned(),
        log: log[log.len().saturating_sub(20)..].join("\n"),
    }
}

/// The host's proxy settings as the build arguments that every Dockerfile has predefined.
fn proxy_args() -> HashMap<String, String> {
    let names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    let set = names.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    set.collect()
}

/// The versions of the packages that matter, as the image's own package managers report them: recorded in
/// every run, because Debian's release moves on.
pub async fn versions(engine: &Engine, container: &str) -> Vec<(String, String)> {
    let script = "dpkg-query -W -f '${Package} ${Version}\\n' 'postgresql-1[0-9]' 'postgresql-*-repmgr' pgpool2 \
                  redis-server haproxy nginx-light python3 2>/dev/null | grep -v ' $'; \
                  for p in /venv/bin/pip /opt/venv/bin/pip; do [ -x $p ] && $p list --format=freeze 2>/dev/null | \
                  grep -iE '^(pretix|django|celery|kombu|gunicorn|psycopg2-binary|redis)==' | tr '=' ' '; done; true";
    let output = engine.exec(container, &["sh", "-c", script], std::time::Duration::from_secs(30)).await;
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    pairs.collect()
}

/// The folder of an image's Dockerfile, from the folder of the Compose file.
pub fn context_path(topology_folder: &Path, context: &str) -> PathBuf {
    topology_folder.join(context)
}
