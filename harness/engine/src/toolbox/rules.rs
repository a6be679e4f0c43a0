//! iptables rules in chains of a step's own: one application, and the exact way back.

use super::Command;
use firedrill_core::ids::{RunId, StepId};

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Passing packets or not.
    Filter,
    /// Changing packets, also on their way.
    Mangle,
    /// Changing addresses.
    Nat,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
        }
    }
}

/// A chain of the kernel's own, from which a chain of the step is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Packets that arrive for the node.
    Input,
    /// Packets that leave the node.
    Output,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "INPUT",
            Self::Output => "OUTPUT",
        }
    }

    /// The last letter of the step's chain.
    fn letter(self) -> &'static str {
        match self {
            Self::Input => "I",
            Self::Output => "O",
        }
    }
}

struct Chain {
    table: Table,
    hook: Hook,
    rules: Vec<String>,
}

/// Rules of one step on one node. All carry a comment with the run and the step; the chains `FD-STEP-I` and
/// `FD-STEP-O` are entered before everything else in `INPUT` and `OUTPUT`.
pub struct Ruleset {
    step: StepId,
    comment: String,
    chains: Vec<Chain>,
}

impl Ruleset {
    /// An empty set.
    pub fn new(run: &RunId, step: StepId) -> Self {
        Self { step, comment: format!("firedrill {run} step {}", step.0), chains: Vec::new() }
    }

    /// How the names of the step's chains begin.
    pub fn prefix(&self) -> String {
        format!("FD-{}-", self.step.0)
    }

    /// Adds rules, each as `iptables -A CHAIN` takes it without the chain and without a comment. The rules of one
    /// table and hook are one chain, in the order in which they are added.
    pub fn add(&mut self, table: Table, hook: Hook, rules: impl IntoIterator<Item = String>) -> &mut Self {
        let rules: Vec<String> = rules.into_iter().collect();
        match self.chains.iter_mut().find(|chain| chain.table == table && chain.hook == hook) {
            Some(chain) => chain.rules.extend(rules),
            None if rules.is_empty() => {}
            None => self.chains.push(Chain { table, hook, rules }),
        }
        self
    }

    fn name(&self, chain: &Chain) -> String {
        format!("{}{}", self.prefix(), chain.hook.letter())
    }

    /// The match that makes a rule end in the kernel, [`super::EXPIRY`] after the injection.
    pub fn expiring() -> &'static str {
        // Without --kerneltz the instant is UTC, whatever the host's time zone is.
        "-m time --datestop @EXPIRY@"
    }

    /// One `iptables-restore`: each table is exchanged in one piece.
    pub fn apply(&self) -> Vec<Command> {
        let mut text = String::new();
        for table in [Table::Filter, Table::Mangle, Table::Nat] {
            let chains: Vec<&Chain> = self.chains.iter().filter(|chain| chain.table == table).collect();
            if chains.is_empty() {
                continue;
            }
            text.push_str(&format!("*{}\n", table.name()));
            for chain in &chains {
                text.push_str(&format!(":{} - [0:0]\n", self.name(chain)));
            }
            for chain in &chains {
                let (name, comment) = (self.name(chain), &self.comment);
                text.push_str(&format!("-I {} 1 -m comment --comment \"{comment}\" -j {name}\n", chain.hook.name()));
                for rule in &chain.rules {
                    text.push_str(&format!("-A {name} -m comment --comment \"{comment}\" {rule}\n"));
                }
            }
            text.push_str("COMMIT\n");
        }
        vec![Command::new("iptables-restore --noflush --wait 5").reading(text)]
    }

    /// The way back, one small step a command, so that each is tried whatever became of the others.
    pub fn revert(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for chain in &self.chains {
            let (table, hook, name) = (chain.table.name(), chain.hook.name(), self.name(chain));
            let iptables = |words: &[&str]| Command::of(&[&["iptables", "--wait", "5", "-t", table], words].concat());
            commands.push(iptables(&["-D", hook, "-m", "comment", "--comment", &self.comment, "-j", &name]));
            commands.push(iptables(&["-F", &name]));
            commands.push(iptables(&["-X", &name]));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_reverted_exactly() {
        let mut rules = Ruleset::new(&"r1".into(), StepId(3));
        let drop = |end: &str| format!("{end} {} -j DROP", Ruleset::expiring());
        rules.add(Table::Filter, Hook::Input, [drop("-s 10.0.0.1")]);
        rules.add(Table::Filter, Hook::Output, [drop("-d 10.0.0.1")]);
        rules.add(Table::Filter, Hook::Input, [drop("-s 10.0.0.2")]);
        rules.add(Table::Mangle, Hook::Input, []);
        let apply = rules.apply();
        assert_eq!(apply.len(), 1);
        let text = apply[0].stdin.as_deref().expect("rules");
        let comment = "-m comment --comment \"firedrill r1 step 3\"";
        assert_eq!(
            text,
            format!(
                "*filter\n:FD-3-I - [0:0]\n:FD-3-O - [0:0]\n\
                 -I INPUT 1 {comment} -j FD-3-I\n\
                 -A FD-3-I {comment} -s 10.0.0.1 -m time --datestop @EXPIRY@ -j DROP\n\
                 -A FD-3-I {comment} -s 10.0.0.2 -m time --datestop @EXPIRY@ -j DROP\n\
                 -I OUTPUT 1 {comment} -j FD-3-O\n\
                 -A FD-3-O {comment} -d 10.0.0.1 -m time --datestop @EXPIRY@ -j DROP\n\
                 COMMIT\n"
            )
        );
        let revert: Vec<String> = rules.revert().iter().map(|command| command.argv.join(" ")).collect();
        assert_eq!(
            revert,
            [
                "iptables --wait 5 -t filter -D INPUT -m comment --comment firedrill r1 step 3 -j FD-3-I",
                "iptables --wait 5 -t filter -F FD-3-I",
                "iptables --wait 5 -t filter -X FD-3-I",
                "iptables --wait 5 -t filter -D OUTPUT -m comment --comment firedrill r1 step 3 -j FD-3-O",
                "iptables --wait 5 -t filter -F FD-3-O",
                "iptables --wait 5 -t filter -X FD-3-O",
            ]
        );
    }
}
