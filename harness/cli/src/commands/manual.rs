//! `completions` and `man`: made from the command line's own definition, so that they are never behind it.

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use clap::CommandFactory;
use std::io;

/// Prints the completions of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "firedrill", &mut text);
    write(&text)
}

/// Prints the manual page: the command itself, then every subcommand.
pub(crate) fn man() -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let mut all = Cli::command().display_name("firedrill");
    all.build();
    clap_mangen::Man::new(all.clone()).render(&mut text).map_err(anyhow::Error::from)?;
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        let page = clap_mangen::Man::new(command.clone());
        for part in [clap_mangen::Man::render_synopsis_section, clap_mangen::Man::render_description_section] {
            part(&page, &mut text).map_err(anyhow::Error::from)?;
        }
        if command.get_arguments().next().is_some() {
            page.render_options_section(&mut text).map_err(anyhow::Error::from)?;
        }
    }
    write(&text)
}

/// Whoever reads may have read enough (`| head`).
fn write(text: &[u8]) -> Result<Exit, Failure> {
    match io::Write::write_all(&mut io::stdout(), text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(anyhow::Error::from(error).into()),
        _ => Ok(Exit::Certified),
    }
}
