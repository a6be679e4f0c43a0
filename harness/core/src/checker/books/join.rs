//! Purchases against the rows of one ledger, by prints: who is clean, and whose texts have to be looked at.
//!
//! Purchases and rows with the same code are one group. A group is clean if a purchase and at most one row meet
//! in it and agree; clean groups are only counted. Everything else is suspect, and with it all that has a code,
//! a token, an e-mail address or a ticket in common with it, because the exact account
//! ([`Exact`](super::super::conservation::exact::Exact)) has to see these together.

#[cfg(test)]
mod nothing_wrong;

use super::shelves::Suspects;
use crate::digest::{Digest, Ledger, NO_CODE, Op, Ops, Place, Row, Token};
use crate::history::ops::Known;
use std::collections::HashSet;

/// Sums over clean groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) recovered: u64,
    pub(super) vanished: u64,
    pub(super) foreign: u64,
}

/// What a group comes to by its prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Clean(Counts),
    /// A confirmed purchase with no row. No text can say otherwise: another print is another code.
    Lost(Place),
    Suspect,
}

/// Something that purchases and rows can have in common besides their code, by its print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Common {
    /// Purchases have a ticket.
    Ticket(u64),
    /// Rows have a buyer's e-mail address.
    Address(u64),
    /// Buyers have a row's e-mail address.
    Buyer(u64),
    /// Rows have a token.
    Token(u64),
}

/// Whatever has something in common, behind its print.
type Having<'j, T> = &'j [(u64, T)];

/// What the prints say.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) counts: Counts,
    /// Confirmed purchases that have no row, by place.
    pub(super) lost: Vec<bool>,
    /// What they cannot say.
    pub(super) suspects: Suspects,
}

/// A purchase under the code by which it is to be found, with what a group is judged by, so that groups can be gone
/// through without looking for every purchase in memory.
#[derive(Debug, Clone, Copy)]
struct Keyed {
    code: u64,
    order: u64,
    place: Place,
    known: Known,
    odd: bool,
    bare: bool,
}

/// Purchases and rows, by everything that they can have in common.
pub(super) struct Join<'d> {
    ops: &'d Ops,
    /// By code.
    rows: &'d [Row],
    /// Purchases by the code under which they are to be found, without those that were refused and that no row
    /// speaks of: nothing can be wrong with them.
    keyed: Vec<Keyed>,
    /// Purchases in the browser, by e-mail address and by place.
    by_email: Vec<(u64, Place)>,
    email_of: Vec<(Place, u64)>,
    /// Rows by e-mail address, where anybody bought in the browser.
    rows_by_email: Vec<(u64, u64)>,
    /// Tokens that are no code, with the code of their row; and the other way round.
    tokens: Vec<(u64, u64)>,
    token_of: Vec<(u64, u64)>,
    /// Tickets that more than one confirmation has, with the purchases; and the other way round.
    shared: Vec<(u64, Place)>,
    shares: Vec<(Place, u64)>,
    /// Purchases of which the groups cannot say that they are clean.
    flagged: HashSet<Place>,
}

impl<'d> Join<'d> {
    /// Indexes a digest and a ledger whose rows are sorted by code. `shared` are the prints of tickets that more
    /// than one purchase may have been told, sorted, with the purchases.
    pub(super) fn new(digest: &'d Digest, ledger: &'d Ledger, shared: Vec<(u64, Place)>) -> Self {
        let ops = &digest.operations;
        let mut by_email = digest.by_email();
        by_email.retain(|(_, place)| ops.at(*place).known != Known::Visited);
        let mut rows_by_email: Vec<(u64, u64)> = Vec::new();
        if !by_email.is_empty() {
            rows_by_email.extend(ledger.rows.iter().map(|row| (row.email, row.code)));
            rows_by_email.sort_unstable();
        }
        let swapped = |pairs: &[(u64, u64)]| sorted(pairs.iter().map(|(a, b)| (*b, *a)).collect());
        let mut join = Self {
            ops,
            rows: &ledger.rows,
            keyed: Vec::new(),
            email_of: sorted(by_email.iter().map(|(email, place)| (*place, *email)).collect()),
            by_email,
            rows_by_email,
            tokens: sorted(ledger.tokens.clone()),
            token_of: swapped(&ledger.tokens),
            shares: sorted(shared.iter().map(|(print, place)| (*place, *print)).collect()),
            flagged: shared.iter().map(|(_, place)| *place).collect(),
            shared,
        };
        let spoken_of = Filter::of(ledger);
        let may_matter = |op: &Op| match op.known {
            Known::Visited => false,
            Known::Rejected(_) | Known::NotApplied if op.has_own_code() => spoken_of.may_have(op.code),
            _ => true,
        };
        join.keyed.reserve_exact(ops.placed().filter(|(_, op)| may_matter(op)).count());
        for (place, op) in ops.placed().filter(|(_, op)| may_matter(op)) {
            let (known, odd, bare) = (op.known, op.is_odd(), op.is_bare());
            join.keyed.push(Keyed { code: join.key(place, op), order: op.order, place, known, odd, bare });
            if !op.has_own_code() && join.email(place).is_some_and(|email| join.under(email).len() > 1) {
                join.flagged.insert(place);
            }
        }
        // Cancelled or not is both right there, or neither: their texts say.
        let given_back = digest.beside.returns.keys().filter_map(|op| ops.place(*op));
        join.flagged.extend(given_back);
        join.keyed.sort_unstable_by_key(|keyed| keyed.code);
        join
    }

    /// Sorts everything out.
    pub(super) fn sort_out(&self) -> Sorted {
        let mut sorted = Sorted { lost: vec![false; self.ops.places()], ..Sorted::default() };
        let mut suspects = Vec::new();
        self.each_group(|code, ops, rows| match self.class(code, ops, rows) {
            Class::Clean(counts) => sorted.counts.add(counts),
            Class::Lost(place) => sorted.lost[place.0 as usize] = true,
            Class::Suspect => suspects.push(code),
        });
        let mut followed = HashSet::new();
        for suspect in suspects {
            self.follow(suspect, &mut followed, &mut sorted);
            sorted.suspects.part();
        }
        sorted
    }

    /// Adds a group, and all that it has something in common with, to what is looked at together. What was counted is
    /// taken back. What many have in common is `followed` once only, so that all of it costs no more than there are
    /// purchases and rows.
    fn follow(&self, suspect: u64, followed: &mut HashSet<Common>, sorted: &mut Sorted) {
        let mut next = vec![suspect];
        while let Some(code) = next.pop() {
            if !sorted.suspects.add_code(code) {
                continue;
            }
            let (ops, rows) = (self.keyed_as(code), self.rows_of(code));
            sorted.suspects.expect(ops.len() + rows.len());
            match self.class(code, ops, rows) {
                Class::Clean(counts) => sorted.counts.take_back(counts),
                Class::Lost(place) => sorted.lost[place.0 as usize] = false,
                Class::Suspect => {}
            }
            let mut common = vec![Common::Token(code)];
            for Keyed { place, .. } in ops {
                sorted.suspects.add_op(self.ops.id(*place));
                common.extend(range(&self.shares, *place).iter().map(|(_, ticket)| Common::Ticket(*ticket)));
                common.extend(self.email(*place).map(Common::Address));
            }
            common.extend(rows.iter().map(|row| Common::Buyer(row.email)));
            // The tokens of these rows, which are codes as well.
            let tokens = range(&self.token_of, code);
            next.extend(tokens.iter().map(|(_, token)| *token));
            common.extend(tokens.iter().map(|(_, token)| Common::Token(*token)));
            for one in common {
                let (places, codes) = self.having(one);
                // What few have is looked up again rather than kept in mind.
                if places.len() + codes.len() > FEW && !followed.insert(one) {
                    continue;
                }
                next.extend(places.iter().map(|(_, place)| self.key(*place, self.ops.at(*place))));
                next.extend(codes.iter().map(|(_, code)| *code));
            }
        }
    }

    /// The purchases, or the codes of the rows, that have something.
    fn having(&self, common: Common) -> (Having<'_, Place>, Having<'_, u64>) {
        match common {
            Common::Ticket(ticket) => (range(&self.shared, ticket), &[]),
            Common::Address(email) => (&[], self.under(email)),
            Common::Buyer(email) => (range(&self.by_email, email), &[]),
            Common::Token(token) => (&[], range(&self.tokens, token)),
        }
    }

    fn class(&self, code: u64, ops: &[Keyed], rows: &[Row]) -> Class {
        let clean = |recovered, vanished, foreign| Class::Clean(Counts { recovered, vanished, foreign });
        if !self.flagged.is_empty() && ops.iter().any(|op| self.flagged.contains(&op.place)) {
            return Class::Suspect;
        }
        match (ops, rows) {
            ([], rows) if self.is_foreign(code, rows) => clean(0, 0, rows.len() as u64),
            ([op], rows) => match (op.known, rows) {
                _ if op.odd => Class::Suspect,
                (Known::Acknowledged, []) => Class::Lost(op.place),
                (Known::Acknowledged, [row]) if self.agree(op, row) => clean(0, 0, 0),
                (Known::InDoubt, []) => clean(0, 1, 0),
                (Known::InDoubt, [row]) if is_plain(row) => clean(1, 0, 0),
                (Known::Rejected(_) | Known::NotApplied, []) => clean(0, 0, 0),
                _ => Class::Suspect,
            },
            // Nobody was told anything, and no row says otherwise: whose code it is does not matter.
            (ops, []) => {
                let count = |known: Known| ops.iter().filter(|op| op.known == known).count();
                if count(Known::Acknowledged) == 0 { clean(0, count(Known::InDoubt) as u64, 0) } else { Class::Suspect }
            }
            _ => Class::Suspect,
        }
    }

    /// Whether rows without a purchase are another writer's.
    fn is_foreign(&self, code: u64, rows: &[Row]) -> bool {
        let is_ours = |row: &Row| row.token == Token::Code || !range(&self.by_email, row.email).is_empty();
        let named = || range(&self.token_of, code).iter().any(|(_, token)| !self.keyed_as(*token).is_empty());
        !rows.iter().any(is_ours) && !named()
    }

    /// The print under which a purchase is to be found: of its code, or of the code of the row that has the
    /// e-mail address of a buyer in the browser.
    fn key(&self, place: Place, op: &Op) -> u64 {
        if op.has_own_code() || op.code != NO_CODE {
            return op.code;
        }
        let theirs = self.email(place).map(|email| self.under(email)).unwrap_or_default();
        theirs.first().map_or(NO_CODE, |(_, code)| *code)
    }

    /// Whether a confirmation and its row agree in every field.
    fn agree(&self, op: &Keyed, row: &Row) -> bool {
        let same = match op.bare {
            true => (op.order, self.ops.at(op.place).basket) == (row.email, row.basket),
            false => op.order == row.order,
        };
        same && is_plain(row) && !matches!(row.status, b'c' | b'e')
    }

    fn email(&self, place: Place) -> Option<u64> {
        range(&self.email_of, place).first().map(|(_, email)| *email)
    }

    /// The rows that have an e-mail address.
    fn under(&self, email: u64) -> &[(u64, u64)] {
        range(&self.rows_by_email, email)
    }

    fn keyed_as(&self, code: u64) -> &[Keyed] {
        let first = self.keyed.partition_point(|keyed| keyed.code < code);
        let count = self.keyed[first..].iter().take_while(|keyed| keyed.code == code).count();
        &self.keyed[first..first + count]
    }

    fn rows_of(&self, code: u64) -> &[Row] {
        let first = self.rows.partition_point(|row| row.code < code);
        let count = self.rows[first..].iter().take_while(|row| row.code == code).count();
        &self.rows[first..first + count]
    }

    fn each_group(&self, mut group: impl FnMut(u64, &[Keyed], &[Row])) {
        let (mut ops, mut rows) = (&self.keyed[..], self.rows);
        while let Some(code) =
            [ops.first().map(|op| op.code), rows.first().map(|row| row.code)].into_iter().flatten().min()
        {
            let (these, others) = ops.split_at(ops.iter().take_while(|op| op.code == code).count());
            let (there, further) = rows.split_at(rows.iter().take_while(|row| row.code == code).count());
            group(code, these, there);
            (ops, rows) = (others, further);
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.recovered += other.recovered;
        self.vanished += other.vanished;
        self.foreign += other.foreign;
    }

    fn take_back(&mut self, other: Self) {
        self.recovered -= other.recovered;
        self.vanished -= other.vanished;
        self.foreign -= other.foreign;
    }
}

/// Whether nothing has to be said about a row but that it is there.
fn is_plain(row: &Row) -> bool {
    !row.odd && row.token != Token::Other
}

/// The prints that rows have as a code or as a token: what it does not have, no row speaks of.
struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// Of 16 bits for every row, so that one of sixteen strangers passes.
    fn of(ledger: &Ledger) -> Self {
        let bits = (16 * (ledger.rows.len() + ledger.tokens.len()) as u64).next_power_of_two().max(64);
        let mut filter = Self { bits: vec![0; (bits / 64) as usize], shift: bits.leading_zeros() + 1 };
        let tokens = ledger.tokens.iter().map(|(token, _)| *token);
        for print in ledger.rows.iter().map(|row| row.code).chain(tokens) {
            let bit = print >> filter.shift;
            filter.bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        filter
    }

    fn may_have(&self, print: u64) -> bool {
        let bit = print >> self.shift;
        self.bits[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all
}

/// The pairs of a sorted list that begin with `key`.
fn range<K: Ord + Copy, V>(pairs: &[(K, V)], key: K) -> &[(K, V)] {
    let from = &pairs[pairs.partition_point(|(other, _)| *other < key)..];
    // Mostly there are none or one. Where there are many, looking for the end beats counting them.
    let few = from.iter().take(FEW).take_while(|(other, _)| *other == key).count();
    if few < FEW { &from[..few] } else { &from[..from.partition_point(|(other, _)| *other == key)] }
}

/// How many purchases or rows with something in common are not many.
const FEW: usize = if cfg!(test) { 1 } else { 8 };
