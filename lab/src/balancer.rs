//! A front end before several instances, like Cloud Run's: each connection goes to the next instance that accepts it.
//! It does not parse HTTP, so when a connection breaks at an instance, it breaks at the client too.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::served::Served;

/// A front end; it stops when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    instances: Instances,
    served: Served,
}

#[derive(Debug, Clone)]
struct Instances {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
}

impl Instances {
    /// All instances, beginning with the next one.
    fn next_first(&self) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = self.next.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(next);
        addresses
    }
}

impl Balancer {
    /// Serves on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn before(instances: Vec<SocketAddr>) -> io::Result<Self> {
        let instances = Instances { addresses: Arc::new(Mutex::new(instances)), next: Arc::default() };
        let carry = |instances: Instances, client| carry(client, instances.next_first());
        Ok(Self { served: Served::on_loopback(instances.clone(), carry).await?, instances })
    }

    /// Stops giving an instance new connections. Cloud Run does so before it tells an instance to end.
    pub fn retire(&self, instance: SocketAddr) {
        let mut addresses = self.instances.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.retain(|address| *address != instance);
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.served.url()
    }
}

async fn carry(mut client: TcpStream, instances: Vec<SocketAddr>) {
    for address in instances {
        if let Ok(mut instance) = TcpStream::connect(address).await {
            // When one side breaks, the other sees the end of its connection.
            let _ = client.set_nodelay(true).and(instance.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut instance).await;
            return;
        }
    }
}
