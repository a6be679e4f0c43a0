//! The base image `debian:bookworm-slim`: there already, pulled, or made from Debian's packages.

use super::ImageError;
use crate::docker::{DockerError, Engine};
use crate::progress::Progress;
use bollard::body_try_stream;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::time::timeout;

/// What every Dockerfile of ours starts from.
pub const BASE_IMAGE: &str = "debian:bookworm-slim";

/// Debian release of the base image.
const RELEASE: &str = "bookworm";

/// A registry that cannot be reached should not cost more than this.
const PULL_DEADLINE: Duration = Duration::from_secs(120);

/// Making the base took 20 s where it was measured; a slow mirror gets much more.
const MAKE_DEADLINE: Duration = Duration::from_secs(900);

/// Gives the id of the base image.
pub(super) async fn ensure(engine: &Engine, progress: &dyn Progress) -> Result<String, ImageError> {
    if let Some(id) = inspect(engine).await? {
        return Ok(id);
    }
    let task = format!("image {BASE_IMAGE}");
    progress.begin(&task);
    let begin = Instant::now();
    let pull = match timeout(PULL_DEADLINE, pull(engine)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PULL_DEADLINE.as_secs())),
    };
    if let Some(pull) = pull {
        progress.update(&task, "cannot be pulled: making it from Debian's packages");
        let made = match timeout(MAKE_DEADLINE, make(engine)).await {
            Ok(made) => made,
            Err(_) => Err(format!("took longer than {} s", MAKE_DEADLINE.as_secs())),
        };
        made.map_err(|make| ImageError::Base { pull, make })?;
    }
    progress.end(&task, &format!("ready in {:.1} s", begin.elapsed().as_secs_f64()));
    let missing =
        || ImageError::Base { pull: "it seemed to work".to_owned(), make: "the engine does not list it".to_owned() };
    inspect(engine).await?.ok_or_else(missing)
}

/// The id of the base image, if it is there.
pub(super) async fn inspect(engine: &Engine) -> Result<Option<String>, DockerError> {
    match engine.docker.inspect_image(BASE_IMAGE).await {
        Ok(image) => Ok(image.id),
        Err(error) if crate::docker::status(&error) == Some(404) => Ok(None),
        Err(source) => Err(DockerError::Call { what: format!("inspect {BASE_IMAGE}"), source }),
    }
}

async fn pull(engine: &Engine) -> Result<(), bollard::errors::Error> {
    let options = CreateImageOptionsBuilder::default().from_image(BASE_IMAGE).build();
    engine.docker.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) }).await
}

/// Makes the image out of Debian's packages: by mmdebstrap where it is installed, else by debootstrap run
/// from its unpacked package, so that nothing is installed on the host.
async fn make(engine: &Engine) -> Result<(), String> {
    let folder = tempdir()?;
    let made = make_in(engine, &folder).await;
    let removed = std::fs::remove_dir_all(&folder).map_err(|error| format!("remove {}: {error}", folder.display()));
    made.and(removed)
}

fn tempdir() -> Result<std::path::PathBuf, String> {
    let folder = std::env::temp_dir().join(format!("firedrill-base-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
    Ok(folder)
}

async fn make_in(engine: &Engine, folder: &Path) -> Result<(), String> {
    let root = folder.join("root");
    if run("mmdebstrap", &["--version"], folder, &[]).await.is_ok() {
        let text = root.display().to_string();
        run("mmdebstrap", &["--variant=minbase", RELEASE, &text], folder, &[]).await?;
    } else {
        download_debootstrap(folder).await?;
        run("sh", &["-c", "dpkg-deb -x debootstrap_*.deb unpacked"], folder, &[]).await?;
        let unpacked = folder.join("unpacked");
        let program = unpacked.join("usr/sbin/debootstrap").display().to_string();
        let env = [("DEBOOTSTRAP_DIR", unpacked.join("usr/share/debootstrap").display().to_string())];
        let text = root.display().to_string();
        run(&program, &["--variant=minbase", RELEASE, &text], folder, &env).await?;
    }
    add_sources(&root)?;
    import(engine, &root).await
}

/// Fetches the package with package lists of its own, because a fresh machine has none, and leaves the
/// host's alone.
async fn download_debootstrap(folder: &Path) -> Result<(), String> {
    let (lists, cache) = (folder.join("lists"), folder.join("cache"));
    for part in [lists.join("partial"), cache.join("archives/partial")] {
        std::fs::create_dir_all(&part).map_err(|error| format!("create {}: {error}", part.display()))?;
    }
    let options = [
        format!("-oDir::State::Lists={}", lists.display()),
        format!("-oDir::Cache={}", cache.display()),
        "-oAPT::Sandbox::User=root".to_owned(),
    ];
    let with = |command: &[&str]| {
        let command = command.iter().map(ToString::to_string);
        options.iter().cloned().chain(command).collect::<Vec<String>>()
    };
    let call = async |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run("apt-get", &arguments, folder, &[]).await
    };
    // One unreachable source among the host's must not matter: the download below says whether it did.
    let updated = call(with(&["update"])).await;
    let downloaded = call(with(&["download", "debootstrap"])).await;
    downloaded.map_err(|error| {
        let lists = updated.err().map_or_else(String::new, |error| format!("; before that: {error}"));
        format!("{error}{lists} (is this host a Debian? elsewhere install mmdebstrap)")
    })
}

/// Debian's updates and security updates beside the release, from the same mirror, as the published image
/// has them. mmdebstrap writes them itself; debootstrap writes the release only.
fn add_sources(root: &Path) -> Result<(), String> {
    let path = root.join("etc/apt/sources.list");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let list = std::fs::read_to_string(&path).map_err(failed)?;
    let release = list.lines().find(|line| line.starts_with("deb ") && !line.contains("security"));
    let (Some(release), false) = (release, list.contains("-security")) else { return Ok(()) };
    let updates = release.replacen(&format!(" {RELEASE} "), &format!(" {RELEASE}-updates "), 1);
    let security = release.replacen("/debian ", "/debian-security ", 1).replacen(
        &format!(" {RELEASE} "),
        &format!(" {RELEASE}-security "),
        1,
    );
    std::fs::write(&path, format!("{}\n{updates}\n{security}\n", list.trim_end())).map_err(failed)
}

async fn run(program: &str, arguments: &[&str], folder: &Path, env: &[(&str, String)]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command.envs(env.iter().map(|(name, value)| (*name, value)));
    let output = command.output().await.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    Err(format!("{program}: {}: {}", output.status, crate::docker::last_lines(&String::from_utf8_lossy(&text), 5)))
}

/// Streams the folder into the engine as an image. Package lists and caches stay out of it.
async fn import(engine: &Engine, root: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar")
        .args(["--numeric-owner", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", "-c", "."])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("tar: {error}"))?;
    let output = tar.stdout.take().ok_or("tar: no output")?;
    let chunks = futures_util::stream::unfold(output, |mut output| async move {
        let mut buffer = vec![0; 1 << 16];
        match tokio::io::AsyncReadExt::read(&mut output, &mut buffer).await {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some((Ok(bytes::Bytes::from(buffer)), output))
            }
            Err(error) => Some((Err(error), output)),
        }
    });
    let (repository, tag) = BASE_IMAGE.split_once(':').unwrap_or((BASE_IMAGE, "latest"));
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .changes(vec!["CMD [\"bash\"]".to_owned()])
        .build();
    let mut answers = engine.docker.create_image(Some(options), Some(body_try_stream(chunks.boxed())), None);
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| format!("import: {error}"))?;
    }
    let status = tar.wait().await.map_err(|error| format!("tar: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("tar: {status}")) }
}
