//! Recordings that an agent names, from a server with TLS on this machine.

use std::net::SocketAddr;

use dialbridge_lab::served::Served;
use dialbridge_net::dial::Tcp;
use dialbridge_net::guarded::{AllowedHosts, Guarded};
use dialbridge_net::hosts::{HostList, NameRule};
use dialbridge_tests::Authority;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

/// A server that answers each path with a redirect to the path after it: `/3` leads to `/2`, and `/0` is a recording.
/// `/to/HOST` leads to another host. The recording has a tag.
struct Recordings {
    authority: Authority,
    front: Served,
    /// The path of each request, with `*` where it has a tag.
    requests: Arc<Mutex<Vec<String>>>,
    _serving: Served,
}

impl Recordings {
    async fn start() -> Self {
        dialbridge_net::tls::install_crypto();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let serving = Served::on_loopback(requests.clone(), |requests, stream| async move {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.is_ok_and(|read| read > 0) {}
            let has_tag = head.to_ascii_lowercase().contains("if-none-match: \"v1\"");
            let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            requests.lock().unwrap().push(format!("{path}{}", if has_tag { "*" } else { "" }));
            let location = match (path.parse::<u32>(), path.strip_prefix("to/")) {
                (Ok(0), _) => None,
                (Ok(left), _) => Some(format!("/{}", left - 1)),
                (_, Some(elsewhere)) => Some(elsewhere.replacen(':', "://", 1)),
                _ => Some("/0".to_owned()),
            };
            let closes = "connection: close\r\n\r\n";
            let answer = match location {
                Some(location) => {
                    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n{closes}")
                }
                None if has_tag => format!("HTTP/1.1 304 Not Modified\r\n{closes}"),
                None => format!("HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 5\r\n{closes}audio"),
            };
            // A client that breaks off does not concern the server.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let serving = serving.await.unwrap();
        let authority = Authority::for_names(&["localhost", "127.0.0.1"]);
        let front = authority.before_http(serving.address()).await;
        Self { authority, front, requests, _serving: serving }
    }

    fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Fetches from this server, with this list of `PROMPT_HOSTS`.
    fn prompts(&self, hosts: &str, room: Arc<FetchRoom>) -> Prompts {
        let hosts = AllowedHosts { public: true, named: HostList::parse(hosts, NameRule::Exact).unwrap() };
        let tls = (*self.authority.client()).clone();
        let client = |dial: Arc<dyn dialbridge_net::dial::Dial>| HttpClient::with_tls(dial, tls.clone());
        let named = client(Arc::new(Guarded::new(Arc::new(Tcp), hosts)));
        let clients = PromptClients {
            configured: client(Arc::new(Tcp)),
            named,
            recordings: room,
            syntheses: Arc::new(FetchRoom::default()),
        };
        let config = PromptsConfig {
            max_bytes: 20 << 20,
            storage_endpoint: String::new(),
            text_to_speech_endpoint: String::new(),
            hosts: AllowedHosts::default(),
        };
        Prompts::new(clients, Auth::none(), config)
    }

    async fn fetch(&self, prompts: &Prompts, url: &str) -> Result<Bytes, String> {
        let url = url.replace("PORT", &self.address().port().to_string());
        prompts.fetch(&url, "en-US", &SpeechConfig::default()).await
    }

    /// Fetches a recording for the first time.
    async fn fetched(&self, hosts: &str, url: &str) -> Result<Bytes, String> {
        self.fetch(&self.prompts(hosts, Arc::default()), url).await
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_recording_on_this_machine_is_fetched_only_if_prompt_hosts_names_it() {
    let recordings = Recordings::start().await;
    for (hosts, url) in [
        ("localhost", "https://localhost:PORT/0"),
        ("127.0.0.1", "https://127.0.0.1:PORT/0"),
        ("127.0.0.0/8", "https://127.0.0.1:PORT/0"),
        ("127.0.0.0/8,::1", "https://localhost:PORT/0"),
    ] {
        assert_eq!(recordings.fetched(hosts, url).await.unwrap(), "audio", "{hosts}");
    }
    let came = recordings.requests();
    for (hosts, url) in [
        ("", "https://localhost:PORT/0"),
        ("", "https://127.0.0.1:PORT/0"),
        ("", "https://127.1:PORT/0"),
        ("", "https://2130706433:PORT/0"),
        ("", "https://[::ffff:127.0.0.1]:PORT/0"),
        ("", "https://0.0.0.0:PORT/0"),
        ("10.0.0.0/8,cdn.example.com", "https://localhost:PORT/0"),
        ("localhost", "https://127.0.0.1:PORT/0"),
        ("localhost:1", "https://localhost:PORT/0"),
    ] {
        let refused = recordings.fetched(hosts, url).await.unwrap_err();
        assert!(refused.contains("PROMPT_HOSTS does not allow"), "{hosts} {url}: {refused}");
    }
    assert_eq!(recordings.requests(), came, "nothing was sent to a host that is refused");
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_each_host_is_checked() {
    let recordings = Recordings::start().await;
    assert_eq!(recordings.fetched("localhost", "https://localhost:PORT/5").await.unwrap(), "audio");
    let endless = recordings.fetched("localhost", "https://localhost:PORT/6").await.unwrap_err();
    assert!(endless.contains("redirected more than 5 times"), "{endless}");
    let port = recordings.address().port();
    let refused = recordings.fetched("localhost", &format!("https://localhost:PORT/to/https:127.0.0.1:{port}/0")).await;
    assert!(refused.clone().unwrap_err().contains("PROMPT_HOSTS does not allow 127.0.0.1"), "{refused:?}");
    for plain in ["http:localhost/0", "http:169.254.169.254/latest"] {
        let refused = recordings.fetched("localhost", &format!("https://localhost:PORT/to/{plain}")).await.unwrap_err();
        assert!(refused.contains("not https:"), "{refused}");
    }
}

#[tokio::test]
async fn a_tag_goes_only_to_the_url_that_gave_it() {
    let recordings = Recordings::start().await;
    let prompts = recordings.prompts("localhost", Arc::default());
    for _ in 0..2 {
        assert_eq!(recordings.fetch(&prompts, "https://localhost:PORT/1").await.unwrap(), "audio");
        tokio::time::pause();
        tokio::time::advance(FRESH).await;
        tokio::time::resume();
    }
    assert_eq!(recordings.requests(), ["1", "0", "1", "0*"]);
}

#[tokio::test]
async fn recordings_wait_while_all_calls_fetch_as_much_as_they_may_and_kept_ones_do_not() {
    let recordings = Recordings::start().await;
    let room = Arc::new(FetchRoom::default());
    let prompts = recordings.prompts("localhost", room.clone());
    recordings.fetch(&prompts, "https://localhost:PORT/0").await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..8 {
        taken.push(room.take(20).await);
    }
    let other = recordings.prompts("localhost", room.clone());
    {
        let mut waits = std::pin::pin!(recordings.fetch(&other, "https://localhost:PORT/1"));
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is no room"),
            kept = recordings.fetch(&prompts, "https://localhost:PORT/0") => assert_eq!(kept.unwrap(), "audio"),
        }
        assert_eq!(recordings.requests(), ["0"]);
        taken.pop();
        assert_eq!(waits.await.unwrap(), "audio");
    }
    drop(taken);
    assert_eq!(room.0.available_permits(), MAX_FETCHED_MIB);
}

#[tokio::test]
async fn audio_that_is_too_old_goes_at_the_next_look_up_and_addresses_count_as_audio_does() {
    let recordings = Recordings::start().await;
    let prompts = recordings.prompts("localhost", Arc::default());
    let long = "x".repeat(MAX_KEPT_BYTES / 2);
    prompts.keep(&format!("{long}1"), Bytes::from_static(b"1"), None);
    prompts.keep(&format!("{long}2"), Bytes::from_static(b"2"), None);
    assert_eq!(prompts.kept().len(), 1, "the older one had no room");
    tokio::time::pause();
    tokio::time::advance(MAX_KEPT).await;
    assert_eq!(prompts.younger_than(MAX_KEPT, "another"), None);
    assert!(prompts.0.kept.lock().unwrap().is_empty());
}
