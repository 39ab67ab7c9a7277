//! Counts wrong tokens for each source address. After a few, we check no token from that address for a while.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many wrong tokens an address may send in a row.
const MOST: u32 = 5;

/// After this time one wrong token is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// How many addresses we remember. Beyond that we forget the address whose failure is the oldest.
const MAX_ADDRESSES: usize = 1_000;

/// The wrong tokens of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<Option<IpAddr>, Failed>>);

#[derive(Debug, Clone, Copy)]
struct Failed {
    count: u32,
    since: Instant,
}

impl Failed {
    fn now(self) -> Self {
        let elapsed = self.since.elapsed();
        let forgiven = u32::try_from(elapsed.as_secs() / FORGIVEN_AFTER.as_secs()).unwrap_or(u32::MAX);
        Self { count: self.count.saturating_sub(forgiven), since: self.since + FORGIVEN_AFTER.saturating_mul(forgiven) }
    }
}

impl Failures {
    /// Whether we check a token from this address.
    pub(crate) fn may_try(&self, from: Option<IpAddr>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&network(from)).is_none_or(|failed| failed.now().count < MOST)
    }

    /// Counts a wrong token from this address.
    pub(crate) fn failed(&self, from: Option<IpAddr>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, failed| failed.now().count > 0);
        let failed = known.entry(network(from)).or_insert(Failed { count: 0, since: Instant::now() });
        *failed = failed.now();
        failed.count += 1;
        if known.len() > MAX_ADDRESSES
            && let Some(oldest) = known.iter().min_by_key(|(_, failed)| failed.since).map(|(address, _)| *address)
        {
            known.remove(&oldest);
        }
    }
}

/// The /64 of an IPv6 address: its owner has 2^64 addresses.
fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    match address?.to_canonical() {
        IpAddr::V6(address) => Some(IpAddr::V6((u128::from(address) >> 64 << 64).into())),
        IpAddr::V4(address) => Some(IpAddr::V4(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn after_five_wrong_tokens_an_address_waits_and_others_do_not() {
        let failures = Failures::default();
        let guesser = address("2001:db8::1");
        for _ in 0..MOST {
            assert!(failures.may_try(guesser));
            failures.failed(guesser);
        }
        assert!(!failures.may_try(guesser) && !failures.may_try(address("2001:db8::2")), "its neighbours are the same");
        assert!(failures.may_try(address("192.0.2.1")) && failures.may_try(None));
        tokio::time::advance(FORGIVEN_AFTER).await;
        assert!(failures.may_try(guesser), "one is forgiven");
        failures.failed(guesser);
        assert!(!failures.may_try(guesser));
        tokio::time::advance(FORGIVEN_AFTER * MOST).await;
        failures.failed(address("192.0.2.1"));
        assert_eq!(failures.0.lock().unwrap().len(), 1, "what is forgiven is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_fill_no_memory() {
        let failures = Failures::default();
        for n in 0..3_000u32 {
            failures.failed(Some(IpAddr::V4(n.into())));
            assert!(failures.0.lock().unwrap().len() <= MAX_ADDRESSES);
        }
    }
}
