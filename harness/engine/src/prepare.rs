//! The prepared database: migrated and seeded once, then only restored.
//!
//! Pretix's 459 migrations take about 110 s; a dump of the result has 0.7 MB and restores in 1.3 s. The
//! dump depends on the images of Pretix and PostgreSQL and on the event file, and on nothing else; its
//! file name is a hash of these three. It lies in the user's cache folder (`FIREDRILL_CACHE` or
//! `$XDG_CACHE_HOME/firedrill` or `~/.cache/firedrill`).

use crate::boot::Plan;
use crate::docker::{DockerError, Engine};
use crate::images::Images;
use crate::labels;
use crate::probe::connect_primary;
use crate::progress::Progress;
use crate::seed::{Seed, SeedError};
use crate::stack::{Stack, random_hex};
use crate::wait::{self, Expired, Look};
use bollard::body_full;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use firedrill_core::hex::hex;
use firedrill_core::source::{self, Source, SourceError};
use firedrill_core::topology::{NodeKind, Topology};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// The database cannot be prepared.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The topology has no node of a kind that is needed.
    #[error("the topology has no {kind} service: a ticket shop needs one")]
    Missing {
        /// Which.
        kind: NodeKind,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}; check the path, the permissions and the free space")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine refused a call or a command failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The database did not come up.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// The seed script was refused or said something unexpected.
    #[error("seeding from {events}: {source}")]
    Seed {
        /// Event file.
        events: PathBuf,
        /// Why.
        source: SeedError,
    },
    /// The event file is not what the seed script takes.
    #[error("{events}: {message}; fixtures/events/pretix-ha.yaml is an example")]
    Refused {
        /// Event file.
        events: PathBuf,
        /// What is wrong, with the path of the key.
        message: String,
    },
    /// The event file is no YAML.
    #[error(transparent)]
    Events(#[from] SourceError),
    /// The token cannot be rotated.
    #[error("the API token cannot be set in the new database: {0}")]
    Token(String),
}

/// A dump and what is in it.
#[derive(Debug, Clone)]
pub struct Prepared {
    dump: Vec<u8>,
    seed: Seed,
}

/// Migrating took 110 s where it was measured.
const MIGRATE_DEADLINE: Duration = Duration::from_secs(900);

/// Where the database lies while it is prepared; never the data folder of a node.
const DATA: &str = "/tmp/prepare";

/// Where the dump is handed to the database nodes.
const SEED_VOLUME: &str = "seed";

/// Gives the prepared database, from the cache or made now; none for a topology without Pretix, which has
/// nothing to sell and needs none.
pub async fn ensure(
    engine: &Engine,
    plan: &Plan,
    topology: &Topology,
    images: &Images,
    progress: &dyn Progress,
) -> Result<Option<Prepared>, PrepareError> {
    if !topology.services.iter().any(|service| service.kind == NodeKind::PretixWeb) {
        return Ok(None);
    }
    let image = |kind: NodeKind| {
        let service = topology.services.iter().find(|service| service.kind == kind);
        service.map(|service| service.image.clone()).ok_or(PrepareError::Missing { kind })
    };
    let (postgres, pretix) = (image(NodeKind::Postgres)?, image(NodeKind::PretixWeb)?);
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PrepareError::File { path, source }
    };
    let events = std::fs::read(&plan.events).map_err(failed(&plan.events))?;
    let mut hasher = Sha256::new();
    for part in [images.context(&postgres), images.context(&pretix)] {
        hasher.update(part.unwrap_or_default());
    }
    hasher.update(&events);
    let folder = cache_folder().join("prepared").join(&hex(&hasher.finalize())[..16]);
    if let Some(prepared) = read(&folder) {
        return Ok(Some(prepared));
    }
    progress.begin("database");
    let begin = Instant::now();
    let maker = Maker { engine, plan, postgres: &postgres, pretix: &pretix, images, progress };
    let made = maker.make(&events).await;
    maker.clean().await?;
    let prepared = made?;
    write(&folder, &prepared).map_err(failed(&folder))?;
    progress.end("database", &format!("migrated and seeded in {:.0} s", begin.elapsed().as_secs_f64()));
    Ok(Some(prepared))
}

/// The user's cache folder.
pub fn cache_folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").unwrap_or_else(std::env::temp_dir).join(".cache");
    let shared = || variable("XDG_CACHE_HOME").unwrap_or_else(home).join("firedrill");
    variable("FIREDRILL_CACHE").unwrap_or_else(shared)
}

fn read(folder: &Path) -> Option<Prepared> {
    let dump = std::fs::read(folder.join("pretix.dump")).ok()?;
    let seed = std::fs::read(folder.join("seed.json")).ok()?;
    Some(Prepared { dump, seed: serde_json::from_slice(&seed).ok()? })
}

/// Writes into a folder beside and renames it, so that a folder that is there is complete.
fn write(folder: &Path, prepared: &Prepared) -> std::io::Result<()> {
    let beside = folder.with_extension(random_hex(4));
    std::fs::create_dir_all(&beside)?;
    std::fs::write(beside.join("pretix.dump"), &prepared.dump)?;
    std::fs::write(beside.join("seed.json"), serde_json::to_vec_pretty(&prepared.seed)?)?;
    match std::fs::rename(&beside, folder) {
        // Another run made the same one in the meantime.
        Err(_) if folder.exists() => std::fs::remove_dir_all(&beside),
        result => result,
    }
}

/// Changing one row takes some milliseconds, on a stack that is booting beside it.
const TOKEN_DEADLINE: Duration = Duration::from_secs(30);

impl Prepared {
    /// Sets the run's own API token and gives the ids. SQL and not the seed script: the script's imports
    /// would cost every boot five seconds of a core for one row.
    pub async fn seed(prepared: &Self, stack: &Stack) -> Result<Seed, PrepareError> {
        let mut seed = prepared.seed.clone();
        seed.token = random_hex(32);
        let update = "update pretixbase_teamapitoken set token = $1";
        let (_, client) = connect_primary(stack, TOKEN_DEADLINE).await.map_err(PrepareError::Token)?;
        match client.execute(update, &[&seed.token]).await {
            Ok(0) => Err(PrepareError::Token("the prepared database has no API token".to_owned())),
            Ok(_) => Ok(seed),
            Err(error) => Err(PrepareError::Token(error.to_string())),
        }
    }
}

/// Puts the dump into the run's seed volume, by way of a container that is never started.
pub async fn load(stack: &Stack, owner: &str, prepared: &Prepared) -> Result<(), PrepareError> {
    if !stack.topology.volumes.iter().any(|volume| volume == SEED_VOLUME) {
        return Ok(());
    }
    let docker = &stack.engine.docker;
    let name = labels::name(&stack.run, "seed-loader");
    let image = stack.topology.services.iter().find(|service| service.kind == NodeKind::Postgres);
    let image = image.and_then(|service| stack.images.id(&service.image)).unwrap_or_default();
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(labels::of_run(&stack.run, owner)),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:/seed", labels::name(&stack.run, SEED_VOLUME))]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker.create_container(Some(options), body).await.map_err(DockerError::call("create the seed loader"))?;
    upload(&stack.engine, &name, "/seed", "pretix.dump", &prepared.dump).await?;
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    let removed = docker.remove_container(&name, Some(options)).await;
    Ok(removed.map_err(DockerError::call("remove the seed loader"))?)
}

/// Makes the prepared database with two containers of its own on a network of its own.
struct Maker<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    postgres: &'a str,
    pretix: &'a str,
    images: &'a Images,
    progress: &'a dyn Progress,
}

impl Maker<'_> {
    fn name(&self, part: &str) -> String {
        labels::name(&self.plan.run, &format!("prepare-{part}"))
    }

    async fn make(&self, events: &[u8]) -> Result<Prepared, PrepareError> {
        self.progress.update("database", "starting");
        let network = NetworkCreateRequest {
            name: self.name("net"),
            labels: Some(labels::of_run(&self.plan.run, &self.plan.owner)),
            ..Default::default()
        };
        self.engine
            .docker
            .create_network(network)
            .await
            .map_err(DockerError::call("create the network of the preparation"))?;
        let shop = self.start_pretix(&self.name("postgres")).await?;
        // A wrong event file is refused now and not after two minutes of migrations.
        self.check_events(&shop, events).await?;
        let database = self.start_postgres().await?;
        self.progress.update("database", "migrating (about two minutes)");
        let entry = ["python", "-m", "pretix", "migrate", "--noinput"];
        self.engine.exec_ok(&shop, &entry, &[], MIGRATE_DEADLINE).await?;
        self.progress.update("database", "seeding");
        // Every run sets a token of its own in its copy.
        let env = [format!("API_TOKEN={}", random_hex(32))];
        let seed = seed_in(self.engine, &shop, events, &env, &self.plan.events).await?;
        self.progress.update("database", "dumping");
        let dump = format!("pg_dump -h {DATA} -U postgres -Fc -d pretix | base64 -w0");
        let text =
            self.engine.exec_ok(&database, &["bash", "-o", "pipefail", "-c", &dump], &[], MIGRATE_DEADLINE).await?;
        let dump = decode_base64(&text).map_err(|problem| DockerError::Exec {
            node: database,
            command: "pg_dump".to_owned(),
            problem,
        })?;
        Ok(Prepared { dump, seed })
    }

    /// Lets the image's own script look at the event file; it needs no database for that.
    async fn check_events(&self, shop: &str, events: &[u8]) -> Result<(), PrepareError> {
        upload(self.engine, shop, "/tmp", "events.json", &events_as_json(events, &self.plan.events)?).await?;
        let program = "import seed, seedspec, sys\n\
                       try: seed.load(sys.argv[1:])\n\
                       except seedspec.SpecError as error: sys.exit(str(error))";
        let command = ["python", "-c", program, "/tmp/events.json"];
        let output = self.engine.exec(shop, &command, Duration::from_secs(30)).await?;
        if output.code == 0 {
            return Ok(());
        }
        let events = self.plan.events.clone();
        Err(PrepareError::Refused { events, message: output.stderr.trim().to_owned() })
    }

    /// A single PostgreSQL without any durability: it lives for two minutes.
    async fn start_postgres(&self) -> Result<String, PrepareError> {
        let script = format!(
            "initdb -D {DATA} -U postgres -A trust --locale=C.UTF-8 -E UTF8 --no-sync >/dev/null && \
             echo 'host all all all trust' >> {DATA}/pg_hba.conf && \
             exec postgres -D {DATA} -c listen_addresses='*' -c unix_socket_directories={DATA} -c fsync=off \
             -c full_page_writes=off -c synchronous_commit=off"
        );
        let name = self.start("postgres", self.postgres, &["bash", "-c", &script], Vec::new()).await?;
        let create = "create role pretix login superuser; create database pretix owner pretix";
        wait::until(
            "the database of the preparation answers",
            Duration::from_secs(60),
            Duration::from_millis(200),
            || async {
                let command = ["psql", "-h", DATA, "-U", "postgres", "-c", "select 1"];
                match self.engine.exec(&name, &command, Duration::from_secs(5)).await {
                    Ok(output) if output.code == 0 => Look::Ready(()),
                    Ok(output) => Look::NotYet(output.stderr),
                    Err(error) => Look::NotYet(error.to_string()),
                }
            },
        )
        .await?;
        for statement in create.split("; ") {
            let command = ["psql", "-h", DATA, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement];
            self.engine.exec_ok(&name, &command, &[], Duration::from_secs(20)).await?;
        }
        Ok(name)
    }

    async fn start_pretix(&self, database: &str) -> Result<String, PrepareError> {
        let env = [
            ("PRETIX_DATABASE_BACKEND", "postgresql"),
            ("PRETIX_DATABASE_NAME", "pretix"),
            ("PRETIX_DATABASE_USER", "pretix"),
            ("PRETIX_DATABASE_PASSWORD", "unused"),
            ("PRETIX_DATABASE_HOST", database),
            ("PRETIX_PRETIX_URL", "http://localhost"),
            ("PRETIX_PRETIX_DATADIR", "/data"),
            ("PRETIX_PRETIX_ECB_RATES", "off"),
            ("PRETIX_DJANGO_SECRET", "only-while-the-database-is-prepared-0123456789"),
            // The image's own settings want Redis, which a migration does not.
            ("DJANGO_SETTINGS_MODULE", "pretix.settings"),
        ];
        let env = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.start("pretix", self.pretix, &["sleep", "infinity"], env).await
    }

    async fn start(&self, part: &str, image: &str, command: &[&str], env: Vec<String>) -> Result<String, PrepareError> {
        let name = self.name(part);
        let body = ContainerCreateBody {
            image: Some(self.images.id(image).unwrap_or(image).to_owned()),
            entrypoint: Some(command.iter().map(ToString::to_string).collect()),
            cmd: Some(Vec::new()),
            env: Some(env),
            labels: Some(labels::of_run(&self.plan.run, &self.plan.owner)),
            host_config: Some(HostConfig {
                init: Some(true),
                network_mode: Some(self.name("net")),
                ..Default::default()
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = self.engine.docker.create_container(Some(options), body).await;
        created.map_err(DockerError::call(format!("create {name}")))?;
        let started = self.engine.docker.start_container(&name, None).await;
        started.map_err(DockerError::call(format!("start {name}")))?;
        Ok(name)
    }

    async fn clean(&self) -> Result<(), PrepareError> {
        for part in ["pretix", "postgres"] {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let removed = self.engine.docker.remove_container(&self.name(part), Some(options)).await;
            ignore_missing(removed, "remove a container of the preparation")?;
        }
        let removed = self.engine.docker.remove_network(&self.name("net")).await;
        ignore_missing(removed, "remove the network of the preparation")
    }
}

fn ignore_missing(result: Result<(), bollard::errors::Error>, what: &str) -> Result<(), PrepareError> {
    match result.map_err(DockerError::call(what)) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs the seed script of the Pretix image on an event file inside a container.
async fn seed_in(
    engine: &Engine,
    shop: &str,
    events: &[u8],
    env: &[String],
    name: &Path,
) -> Result<Seed, PrepareError> {
    upload(engine, shop, "/tmp", "events.json", &events_as_json(events, name)?).await?;
    let command = ["python", "/app/seed.py", "/tmp/events.json"];
    let output = engine.exec_ok(shop, &command, env, Duration::from_secs(120)).await?;
    Seed::parse(&output).map_err(|source| PrepareError::Seed { events: name.to_path_buf(), source })
}

/// Event files are YAML for people; the script inside the image has no YAML library and reads JSON.
fn events_as_json(events: &[u8], name: &Path) -> Result<Vec<u8>, PrepareError> {
    let source = Source::new(name.display().to_string(), String::from_utf8_lossy(events));
    let value: serde_json::Value = source::parse_yaml(&source)?;
    Ok(value.to_string().into_bytes())
}

/// Adds events to a running stack, on its node for periodic tasks, which no buyer waits for. The API token
/// stays the run's.
pub async fn seed_live(stack: &Stack, events: &str, token: &str) -> Result<Seed, PrepareError> {
    let kind = NodeKind::PretixPeriodic;
    let node = stack.of_kind(kind).next().ok_or(PrepareError::Missing { kind })?;
    let env = [format!("API_TOKEN={token}")];
    seed_in(&stack.engine, &node.container, events.as_bytes(), &env, Path::new("events of the drill")).await
}

/// Puts one file into a container.
async fn upload(engine: &Engine, container: &str, folder: &str, file: &str, bytes: &[u8]) -> Result<(), PrepareError> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let packed = archive.append_data(&mut header, file, bytes).and_then(|()| archive.into_inner());
    let packed = packed.map_err(|source| PrepareError::File { path: PathBuf::from(file), source })?;
    let target = UploadToContainerOptionsBuilder::default().path(folder).build();
    let uploaded = engine.docker.upload_to_container(container, Some(target), body_full(packed.into())).await;
    Ok(uploaded.map_err(DockerError::call(format!("{container}: upload {file}")))?)
}

/// Decodes standard base64: the engine's streams are text, a dump is not.
fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|error| error.to_string())
}
