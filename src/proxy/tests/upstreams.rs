//! Where upstreams are, and how they are reached.

use std::path::PathBuf;

use tokio::net::UnixListener;

use super::*;
use crate::config::Places;

/// What the settings would make of this for `crm`.
pub(super) fn places(text: &str) -> Places {
    let text = format!(
        "listen: [{{address: 127.0.0.1:0}}]\nupstreams: {{crm: {{{text}, plain: {{because: of a test}}}}}}"
    );
    Settings::parse("test", &text, []).unwrap().upstreams["crm"].places.clone()
}

/// Puts `crm` somewhere else.
fn at(places: Places) -> impl FnOnce(&mut Settings) {
    move |settings| settings.upstreams.get_mut("crm").unwrap().places = places
}

/// An upstream that answers on a UNIX socket for as long as the folder is there.
fn serve_unix(response: String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0 {}
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_can_listen_on_a_unix_socket() {
    let (folder, path) = serve_unix(head_and(BODY, "application/json"));
    let world = World::with(Upstream::Absent, POLICY, at(Places::Unix(path)), None).await;
    for _ in 0..2 {
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!((reply.status, reply.body.as_deref()), (200, Some(SIEVED)));
    }
    drop(folder);
    let gone = Places::Unix("/nowhere/upstream.sock".into());
    let world = World::with(Upstream::Absent, POLICY, at(gone), None).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-unreachable");
    assert_eq!(world.record().await, "refused upstream-unreachable");
}

/// Whoever could not be connected to has not been asked: the next one is, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_one_that_can_be_reached_is_asked() {
    let away = serve_upstream(Upstream::Absent, Arc::default()).await;
    let asked = Arc::default();
    // No connection is kept that could be found closed.
    let here = serve_upstream(Upstream::bytes(until_closed(BODY)), Arc::clone(&asked)).await;
    for addresses in [[away, here], [here, away]] {
        let several = places(&format!("addresses: [\"{}\", \"{}\"]", addresses[0], addresses[1]));
        let world = World::with(Upstream::Absent, POLICY, at(several), None).await;
        for round in 0..3 {
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(reply.body.as_deref(), Some(SIEVED), "round {round}");
            let post = request(
                "POST",
                "/c",
                "Api-Key: desk-key\r\nData-Purpose: support\r\nContent-Length: 4\r\n",
            );
            let reply = world.send(post + "{  }").await;
            assert_eq!(reply.status, 200, "round {round}: {reply:?}");
        }
    }
    assert_eq!(asked.lock().unwrap().len(), 12);
}

/// `0.0.0.0` leads to this machine, and is no loopback address: as if `localhost` were somewhere else.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_clear_nobody_but_this_machine_is_asked() {
    for (plain, status) in [(None, 502), (Some("of a test".to_owned()), 200)] {
        let asked = Arc::default();
        let here = serve_upstream(Upstream::json(BODY), Arc::clone(&asked)).await;
        let change = |settings: &mut Settings| {
            let upstream = settings.upstreams.get_mut("crm").unwrap();
            upstream.places = places(&format!("address: 0.0.0.0:{}", here.port()));
            upstream.plain = plain;
        };
        let world = World::with(Upstream::Absent, POLICY, change, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!((reply.status, asked.lock().unwrap().is_empty()), (status, status == 502));
        if status == 502 {
            assert_eq!(reply.reason(), "upstream-unreachable");
        }
    }
}
