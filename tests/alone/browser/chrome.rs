//! A real Chromium, driven by its own protocol: messages of JSON through two named pipes, each ended by a zero byte.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A browser with one page, killed when dropped.
pub(crate) struct Chrome {
    child: Child,
    to: File,
    from: BufReader<File>,
    last: u64,
    session: String,
    /// What pages have complained of: errors of scripts, and what the policy forbids.
    pub(crate) complaints: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Drop for Chrome {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

impl Chrome {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipe = |name: &str| folder.path().join(name).display().to_string();
        let made = Command::new("mkfifo").args([pipe("to"), pipe("from")]).status().unwrap();
        assert!(made.success());
        let run = format!(
            "exec chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --lang=en-GB \
             --remote-debugging-pipe --user-data-dir={} about:blank 3<{} 4>{}",
            pipe("data"),
            pipe("to"),
            pipe("from")
        );
        let child = Command::new("sh").args(["-c", &run]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let open = |name: &str, writes: bool| {
            OpenOptions::new().read(!writes).write(writes).open(Path::new(&pipe(name))).unwrap()
        };
        let (to, from) = (open("to", true), open("from", false));
        let mut chrome = Self {
            child: child.unwrap(),
            to,
            from: BufReader::new(from),
            last: 0,
            session: String::new(),
            complaints: Vec::new(),
            _folder: folder,
        };
        let pages = chrome.call("Target.getTargets", &json!({}));
        let page =
            pages["targetInfos"].as_array().unwrap().iter().find(|info| info["type"] == "page").unwrap();
        let attached =
            chrome.call("Target.attachToTarget", &json!({"targetId": page["targetId"], "flatten": true}));
        chrome.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            chrome.call(&format!("{domain}.enable"), &json!({}));
        }
        chrome
    }

    /// Calls a method and returns its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let message = self.read();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// The next message; complaints are kept.
    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let method = message["method"].as_str().unwrap_or_default();
        let is_error = message["params"]["entry"]["level"] == "error";
        if method == "Runtime.exceptionThrown" || method == "Log.entryAdded" && is_error {
            self.complaints.push(message.to_string());
        }
        message
    }

    /// Opens an address and waits until it is loaded.
    #[track_caller]
    pub(crate) fn open(&mut self, address: &str) {
        let found = self.call("Page.navigate", &json!({"url": address}));
        assert!(found["errorText"].is_null(), "{address}: {found}");
        self.wait("document.readyState === 'complete'");
    }

    /// What an expression is on the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let found = self.call("Runtime.evaluate", &asked);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// Waits until an expression is true on the page.
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        crate::harness::wait::wait_until(expression, || {
            // Between two pages there is nothing to ask.
            let asked = json!({"expression": expression, "returnByValue": true});
            self.call("Runtime.evaluate", &asked)["result"]["value"] == true
        });
    }

    /// How wide and high the window is, and whether the system is dark.
    pub(crate) fn look(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Whether scripts run.
    pub(crate) fn scripts(&mut self, run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({"value": !run}));
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// A picture of the page.
    pub(crate) fn picture(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        std::fs::write(file, STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }
}
