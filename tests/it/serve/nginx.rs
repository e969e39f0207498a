//! A real nginx on a free port.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::serve::{free_port, until};

/// A folder of files, served twice. It ends with the test.
pub(crate) struct Nginx {
    child: Child,
    /// Where responses say how long they are.
    pub(crate) sized: SocketAddr,
    /// Where they are chunked.
    pub(crate) chunked: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Serves these files as FHIR: paths and bytes. None if there is no nginx here, which is said.
    pub(crate) fn start<'a>(files: impl IntoIterator<Item = (String, &'a [u8])>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join("files").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let [sized, chunked] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        fs::write(folder.path().join("nginx.conf"), conf(sized, chunked)).unwrap();
        let child = spawn(folder.path())?;
        let mut nginx = Self { child, sized, chunked, folder };
        until("nginx listens", || {
            if let Some(status) = nginx.child.try_wait().unwrap() {
                panic!("nginx ended: {status}\n{}", nginx.said());
            }
            TcpStream::connect(sized).is_ok() && TcpStream::connect(chunked).is_ok()
        });
        Some(nginx)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }
}

/// One process, which is the child, and nothing outside of its folder.
///
/// A response that server-side includes could change is of no known length, so it is chunked.
fn conf(sized: SocketAddr, chunked: SocketAddr) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
         events {{}}
         http {{
           access_log off; default_type application/fhir+json;
           client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
           scgi_temp_path t5; root files;
           server {{ listen {sized}; }}
           server {{ listen {chunked}; ssi on; ssi_types application/fhir+json; }}
         }}"
    )
}

fn spawn(folder: &Path) -> Option<Child> {
    // Where Debian puts it, if that is not on the path of who is not root.
    for program in ["nginx", "/usr/sbin/nginx"].map(PathBuf::from) {
        let started = Command::new(program)
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr")).unwrap())
            .spawn();
        match started {
            Ok(child) => return Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("nginx: {error}"),
        }
    }
    println!("skipped: no nginx: `make test` installs it");
    None
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            // It has ended already.
        }
    }
}
