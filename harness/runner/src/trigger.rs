//! Triggers that wait for something to happen.

use crate::steps::Run;
use firedrill_core::drill::Trigger;
use firedrill_core::history::{At, Role};
use firedrill_core::ids::{NodeName, TierName};
use firedrill_engine::ledger;
use firedrill_engine::observe::LOOK_PERIOD;
use firedrill_engine::wait::{self, Expired, Look};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a relative trigger counts from.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// When the step before took effect, or the stack was steady.
    pub(crate) at: At,
    /// What every node was before the first fault of the group: a role may change before anybody begins to
    /// wait for it.
    pub(crate) roles: BTreeMap<NodeName, Role>,
}

impl Run<'_> {
    /// Waits until the condition of a trigger is true, or the run ends early.
    pub(crate) async fn wait_condition(
        &self,
        trigger: &Trigger,
        before: &Moment,
        deadline: Duration,
    ) -> Result<(), Expired> {
        wait::until(&trigger.to_string(), deadline, LOOK_PERIOD, || async {
            if self.ends_early() {
                return Look::Ready(());
            }
            self.look(trigger, before).await
        })
        .await
    }

    async fn look(&self, trigger: &Trigger, before: &Moment) -> Look<()> {
        let stack = &self.session.stack;
        let when = |is_true: bool, seen: String| if is_true { Look::Ready(()) } else { Look::NotYet(seen) };
        match trigger {
            Trigger::Steady | Trigger::AtMs(_) | Trigger::AfterMs(_) => Look::Ready(()),
            Trigger::FirstSale => {
                let sold = self.view.as_ref().map_or(0, |view| view.snapshot().acknowledged);
                when(sold > 0, format!("{sold} sales"))
            }
            Trigger::QuotaBelow(quota) => match ledger::quota_left(stack, &quota.quota).await {
                Ok(Some(left)) => when(left <= quota.left, format!("{left} left")),
                Ok(None) => Look::NotYet("the quota is unlimited".to_owned()),
                Err(error) => Look::NotYet(error),
            },
            Trigger::LagOver(lag) => match ledger::replay_lag_bytes(stack).await {
                Ok(bytes) => when(bytes >= lag.bytes, format!("{bytes} bytes behind")),
                Err(error) => Look::NotYet(error),
            },
            Trigger::RoleChanged(tier) => {
                let now = self.roles(Some(tier));
                let seen = now.iter().map(|(node, role)| format!("{node} is {role}")).collect::<Vec<_>>().join(", ");
                when(now.iter().any(|(node, role)| before.roles.get(node) != Some(role)), seen)
            }
        }
    }

    /// What the nodes of a tier, or all of them, say they are.
    pub(crate) fn roles(&self, tier: Option<&TierName>) -> BTreeMap<NodeName, Role> {
        let reports = self.session.observer.reports();
        let wanted = reports.iter().filter(|report| tier.is_none_or(|tier| report.tier == *tier));
        wanted.map(|report| (report.node.clone(), report.role())).collect()
    }
}
