//! A front end before several instances, like Cloud Run's: each connection goes to the next instance that accepts it.
//! It does not parse HTTP, so when a connection breaks at an instance, it breaks at the client too.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A front end; it stops when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    instances: Instances,
    task: JoinHandle<()>,
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

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Balancer {
    /// Serves on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn before(instances: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let instances = Instances { addresses: Arc::new(Mutex::new(instances)), next: Arc::default() };
        let carried = instances.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, carried.next_first()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, instances, task })
    }

    /// Stops giving an instance new connections. Cloud Run does so before it tells an instance to end.
    pub fn retire(&self, instance: SocketAddr) {
        let mut addresses = self.instances.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.retain(|address| *address != instance);
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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
