//! A real Chromium, driven over WebDriver.
//!
//! WebDriver is a dozen JSON calls, and what the tests need most of (the developer tools' protocol, the console) is
//! Chromium's own addition to it; so this speaks it directly. Kept out: everything that knows our page.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::outcome::{Failure, Outcome};

/// How long chromedriver may take to start, and a page to load.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many ports chromedriver may choose that are no good.
const PORTS: usize = 5;

/// What WebDriver calls an element's id (W3C WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running chromedriver, which starts a browser for each [`Chromium::open`]. It ends when this is dropped.
pub struct Chromium {
    process: Child,
    port: u16,
    client: reqwest::Client,
}

/// What the reader of a page prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
    /// Light ground, and more contrast than usual.
    HighContrast,
    /// Dark ground, and more contrast than usual.
    HighContrastDark,
    /// The system's own few colours, as in Windows' contrast themes.
    ForcedColors,
}

/// The size of the part of a page that is in sight, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewport {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// A desk.
pub const WIDE: Viewport = Viewport { width: 1280, height: 900 };
/// A small phone, and a desk at four times the size of letters.
pub const SMALL: Viewport = Viewport { width: 320, height: 640 };
/// A phone held upright.
pub const NARROW: Viewport = Viewport { width: 390, height: 844 };

/// What chromedriver said when it was started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Port(u16),
    ItEnded,
    Nothing,
}

fn hear(process: &mut Child) -> Said {
    let Some(output) = process.stdout.take() else { return Said::Nothing };
    let (say, hear) = mpsc::channel();
    thread::spawn(move || {
        // To the end, so that the pipe never fills up.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(port) = port_in(&line) {
                // Nobody listens any more after the first.
                let _heard_already = say.send(port);
            }
        }
    });
    match hear.recv_timeout(PATIENCE) {
        Ok(port) => Said::Port(port),
        Err(RecvTimeoutError::Disconnected) => Said::ItEnded,
        Err(RecvTimeoutError::Timeout) => Said::Nothing,
    }
}

impl Chromium {
    /// Starts chromedriver: `CHROMEDRIVER` names it, else it is Debian's. `CHROMIUM` names the browser. Profiles and
    /// whatever else they write go to `folder`.
    ///
    /// # Errors
    ///
    /// When it does not start or does not say where it listens.
    pub fn start(folder: &Path) -> Outcome<Self> {
        let driver = env::var_os("CHROMEDRIVER").unwrap_or_else(|| "/usr/bin/chromedriver".into());
        let mut said = Said::Nothing;
        // It chooses a port on one kind of addresses, and ends if somebody has that one on the other kind.
        for _ in 0..PORTS {
            let mut process = Command::new(&driver)
                .arg("--port=0")
                .env("TMPDIR", folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| Failure::new(format!("{} did not start: {error}", Path::new(&driver).display())))?;
            said = hear(&mut process);
            match said {
                Said::Port(port) => return Ok(Self { process, port, client: demo::http_client()? }),
                Said::Nothing | Said::ItEnded => kill(&mut process),
            }
            if said == Said::Nothing {
                break;
            }
        }
        Err(Failure::new(match said {
            Said::ItEnded => "chromedriver ended each time it was started",
            _ => "chromedriver did not say on which port it listens",
        }))
    }

    /// Opens a browser with an empty profile.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn open(&self, viewport: Viewport, scheme: Scheme) -> Outcome<Browser> {
        let mut options = json!({ "args": arguments(viewport) });
        if let Some(binary) = env::var_os("CHROMIUM") {
            options["binary"] = Value::String(binary.to_string_lossy().into_owned());
        }
        let capabilities = json!({ "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        }});

        let root = format!("http://127.0.0.1:{}/session", self.port);
        let created = call(&self.client, Method::POST, &root, &json!({ "capabilities": capabilities })).await?;
        let session = created["sessionId"].as_str().ok_or_else(|| Failure::new("chromedriver names no session"))?;
        let browser = Browser {
            url: format!("{root}/{session}"),
            path: format!("/session/{session}"),
            port: self.port,
            client: self.client.clone(),
        };
        browser.resize(viewport).await?;
        browser.prefer(scheme).await?;
        Ok(browser)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        kill(&mut self.process);
    }
}

fn kill(process: &mut Child) {
    // It may have ended by itself, and there is nobody to tell here.
    let _ended_already = process.kill();
    let _no_such_child = process.wait();
}

/// Chromium's options for a machine of its own, with or without a network behind it.
fn arguments(viewport: Viewport) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--headless=new",
        // It does not start as root otherwise; it only ever opens our own pages.
        "--no-sandbox",
        "--disable-gpu",
        // Shared memory is small in containers.
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-quic",
        "--no-proxy-server",
        // Frames of several tests run side by side; none of them is in front of a person.
        "--disable-background-timer-throttling",
        "--disable-renderer-backgrounding",
        "--disable-backgrounding-occluded-windows",
        // Everything here is on this machine, which a page may otherwise not be asked about.
        "--disable-features=LocalNetworkAccessChecks,Translate,OptimizationHints,MediaRouter",
        "--force-device-scale-factor=1",
        "--hide-scrollbars",
        "--lang=en",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--window-size={},{}", viewport.width, viewport.height));
    arguments
}

/// The port in `ChromeDriver was started successfully on port 41231.`
fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

/// One browser with one window. It ends when this is dropped.
pub struct Browser {
    url: String,
    path: String,
    port: u16,
    client: reqwest::Client,
}

/// A part of the page that is open.
#[derive(Clone, Debug)]
pub struct Element(Value);

impl Browser {
    /// Opens a page and waits until it is loaded.
    ///
    /// # Errors
    ///
    /// When the browser does not get there.
    pub async fn go_to(&self, url: &str) -> Outcome {
        self.post("url", &json!({ "url": url })).await.map(drop)
    }

    /// Loads the page again, as the button does.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn reload(&self) -> Outcome {
        self.post("refresh", &json!({})).await.map(drop)
    }

    /// The first element that a CSS selector matches in the present frame.
    ///
    /// # Errors
    ///
    /// When the browser does not answer; that there is none is no error.
    pub async fn find(&self, selector: &str) -> Outcome<Option<Element>> {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector })).await;
        match found {
            Ok(element) => Ok(Some(Element(element))),
            Err(failure) if failure.to_string().starts_with("no such element") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The same, where there has to be one.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn get(&self, selector: &str) -> Outcome<Element> {
        self.find(selector).await?.ok_or_else(|| Failure::new(format!("there is no {selector} on the page")))
    }

    /// The same, where a page that is still loading is about to bring it.
    async fn awaited(&self, selector: &str) -> Outcome<Element> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.find(selector).await? {
                Some(element) => return Ok(element),
                None if deadline < Instant::now() => return self.get(selector).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Clicks in the middle of an element, scrolling to it first, as a person would; it fails if something lies on it.
    ///
    /// # Errors
    ///
    /// When it cannot be clicked.
    pub async fn click(&self, selector: &str) -> Outcome {
        let element = self.get(selector).await?;
        self.post(&format!("element/{}/click", element.id()), &json!({})).await.map(drop)
    }

    /// Types into a field, in the place of what it holds.
    ///
    /// # Errors
    ///
    /// When there is no such field.
    pub async fn type_into(&self, selector: &str, text: &str) -> Outcome {
        let element = self.get(selector).await?;
        self.post(&format!("element/{}/clear", element.id()), &json!({})).await?;
        self.post(&format!("element/{}/value", element.id()), &json!({ "text": text })).await.map(drop)
    }

    /// Where the browser is.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn address(&self) -> Outcome<String> {
        let address = self.request(Method::GET, "url", &Value::Null).await?;
        Ok(address.as_str().unwrap_or_default().to_owned())
    }

    /// Draws as on paper from here on.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn print_on_paper(&self) -> Outcome {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print" })).await.map(drop)
    }

    /// Lets pages do what their content policy forbids, from the next one on.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn ignore_policies(&self) -> Outcome {
        self.devtools("Page.setBypassCSP", &json!({ "enabled": true })).await.map(drop)
    }

    /// The text of an element as it is drawn, also for those who hear the page; `None` if there is no such element.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn text(&self, selector: &str) -> Outcome<Option<String>> {
        // By a script, in one step: an element that is found may be gone when it is asked for its text.
        let script = "return document.querySelector(arguments[0])?.innerText.trim() ?? null";
        let text = self.script(script, json!([selector])).await?;
        Ok(text.as_str().map(str::to_owned))
    }

    /// Whether there is such an element and it is drawn.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn draws(&self, selector: &str) -> Outcome<bool> {
        let script =
            "return document.querySelector(arguments[0])?.checkVisibility({ visibilityProperty: true }) ?? false";
        Ok(self.script(script, json!([selector])).await? == Value::Bool(true))
    }

    /// A picture of an element in the middle of what is in sight, as PNG.
    ///
    /// # Errors
    ///
    /// When the element is not there or has no size.
    pub async fn picture_of(&self, selector: &str) -> Outcome<Vec<u8>> {
        let element = self.get(selector).await?;
        // The picture ends where a frame ends, so the whole of the element has to be in sight.
        self.script("arguments[0].scrollIntoView({ block: 'center', inline: 'center' })", json!([element.0])).await?;
        let picture = self.request(Method::GET, &format!("element/{}/screenshot", element.id()), &Value::Null).await?;
        decode_base64(&picture)
    }

    /// A picture of the whole page, also of what is not in sight, as PNG.
    ///
    /// # Errors
    ///
    /// When the browser does not draw one.
    pub async fn picture(&self) -> Outcome<Vec<u8>> {
        let layout = self.devtools("Page.getLayoutMetrics", &json!({})).await?;
        let mut clip = layout["cssContentSize"].clone();
        clip["scale"] = json!(1);
        // Asked for without need, the browser moves a page that is written from right to left out of the picture.
        let height = |part: &str, name: &str| layout[part][name].as_f64();
        let is_taller = height("cssLayoutViewport", "clientHeight") < height("cssContentSize", "height");
        let options = json!({ "format": "png", "captureBeyondViewport": is_taller, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", &options).await?;
        decode_base64(&picture["data"])
    }

    /// Goes on inside a frame of the page.
    ///
    /// # Errors
    ///
    /// When there is no such frame.
    pub async fn enter_frame(&self, selector: &str) -> Outcome {
        let frame = self.awaited(selector).await?;
        self.post("frame", &json!({ "id": frame.0 })).await.map(drop)
    }

    /// Goes on in the page itself.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn leave_frames(&self) -> Outcome {
        self.post("frame", &json!({ "id": null })).await.map(drop)
    }

    /// Runs a function body in the present frame and returns what it returns.
    ///
    /// # Errors
    ///
    /// When it throws.
    pub async fn script(&self, body: &str, arguments: Value) -> Outcome<Value> {
        self.post("execute/sync", &json!({ "script": body, "args": arguments })).await
    }

    /// Runs a function body that answers by calling its last argument.
    ///
    /// # Errors
    ///
    /// When it throws or takes too long.
    pub async fn script_later(&self, body: &str) -> Outcome<Value> {
        self.post("execute/async", &json!({ "script": body, "args": [] })).await
    }

    /// Presses a key and lets it go, as WebDriver spells it: `"\u{e004}"` is the tabulator.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn press(&self, key: &str) -> Outcome {
        let act = |kind: &str| json!({ "type": kind, "value": key });
        let actions = json!({ "actions": [
            { "type": "key", "id": "keys", "actions": [act("keyDown"), act("keyUp")] },
        ]});
        self.post("actions", &actions).await.map(drop)
    }

    /// Stops everything on the page, as a phone does with what is not in sight.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn freeze(&self) -> Outcome {
        self.devtools("Page.setWebLifecycleState", &json!({ "state": "frozen" })).await.map(drop)
    }

    /// Lets a page go on that was stopped, and shows it again: it comes from behind another one. Leaves frames.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn thaw(&self) -> Outcome {
        self.devtools("Page.setWebLifecycleState", &json!({ "state": "active" })).await?;
        let handle = self.request(Method::GET, "window", &Value::Null).await?;
        let other = self.post("window/new", &json!({ "type": "tab" })).await?;
        self.post("window", &json!({ "handle": other["handle"] })).await?;
        self.request(Method::DELETE, "window", &Value::Null).await?;
        self.post("window", &json!({ "handle": handle })).await.map(drop)
    }

    /// Gives the page that is open leave for something, or refuses it, as a reader may when asked.
    ///
    /// # Errors
    ///
    /// When the browser knows no such thing.
    pub async fn permit(&self, what: &str, is_allowed: bool) -> Outcome {
        let state = if is_allowed { "granted" } else { "denied" };
        self.post("permissions", &json!({ "descriptor": { "name": what }, "state": state })).await.map(drop)
    }

    /// Takes the network away from pages, or gives it back.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn be_offline(&self, is_offline: bool) -> Outcome {
        self.devtools("Network.enable", &json!({})).await?;
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", &conditions).await.map(drop)
    }

    /// Keeps pages from loading what one of these addresses fits, in which `*` stands for anything.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn block(&self, addresses: &[&str]) -> Outcome {
        self.devtools("Network.enable", &json!({})).await?;
        self.devtools("Network.setBlockedURLs", &json!({ "urls": addresses })).await.map(drop)
    }

    /// Makes the machine as slow as a cheap phone on a poor line: a quarter of the speed, 1.6 Mbit/s, and 150 ms there and
    /// back.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn be_slow(&self) -> Outcome {
        self.devtools("Network.enable", &json!({})).await?;
        let conditions = json!({
            "offline": false, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 200_000,
        });
        self.devtools("Network.emulateNetworkConditions", &conditions).await?;
        self.devtools("Emulation.setCPUThrottlingRate", &json!({ "rate": 4 })).await.map(drop)
    }

    /// Runs a script at the beginning of every document that is opened from now on, before any script of its own.
    ///
    /// # Errors
    ///
    /// When the browser does not take it.
    pub async fn before_each_page(&self, script: &str) -> Outcome {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script })).await.map(drop)
    }

    /// Switches the scripts of pages off, as a reader may in the settings.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn forbid_scripts(&self) -> Outcome {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true })).await.map(drop)
    }

    /// Gives pages another size.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn resize(&self, viewport: Viewport) -> Outcome {
        self.show_on(viewport, false).await
    }

    /// Draws pages as a phone does, and has them touched instead of pointed at.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn be_a_phone(&self, viewport: Viewport) -> Outcome {
        self.show_on(viewport, true).await?;
        let touch = json!({ "enabled": true, "maxTouchPoints": 5 });
        self.devtools("Emulation.setTouchEmulationEnabled", &touch).await.map(drop)
    }

    async fn show_on(&self, viewport: Viewport, is_mobile: bool) -> Outcome {
        let metrics = json!({
            "width": viewport.width,
            "height": viewport.height,
            "deviceScaleFactor": 1,
            "mobile": is_mobile,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await.map(drop)
    }

    /// Says what the reader prefers; also that nothing should move, so that pictures of one state are all alike.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn prefer(&self, scheme: Scheme) -> Outcome {
        let (value, contrast, forced) = match scheme {
            Scheme::Light => ("light", "no-preference", "none"),
            Scheme::Dark => ("dark", "no-preference", "none"),
            Scheme::HighContrast => ("light", "more", "none"),
            Scheme::HighContrastDark => ("dark", "more", "none"),
            Scheme::ForcedColors => ("dark", "no-preference", "active"),
        };
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": value },
            { "name": "prefers-contrast", "value": contrast },
            { "name": "forced-colors", "value": forced },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]});
        self.devtools("Emulation.setEmulatedMedia", &media).await.map(drop)
    }

    /// What was written to the console, by pages and by the browser about them (failed requests, violations of the
    /// content policy), since this was last asked. One line each, with its level in front.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn console(&self) -> Outcome<Vec<String>> {
        let log = self.post("se/log", &json!({ "type": "browser" })).await?;
        let entries = log.as_array().into_iter().flatten();
        let line = |entry: &Value| {
            let text = |name| entry[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("level"), text("message"))
        };
        Ok(entries.map(line).collect())
    }

    /// A command of the developer tools' protocol, to the page.
    async fn devtools(&self, command: &str, parameters: &Value) -> Outcome<Value> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.request(Method::POST, path, body).await
    }

    async fn request(&self, method: Method, path: &str, body: &Value) -> Outcome<Value> {
        call(&self.client, method, &format!("{}/{path}", self.url), body).await
    }
}

impl Drop for Browser {
    /// Asks for the browser's end and waits for the answer, without a runtime: chromedriver's own end would leave the
    /// browser running.
    fn drop(&mut self) {
        let end = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(
                stream,
                "DELETE {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.path, self.port
            )?;
            stream.read(&mut [0; 256]).map(drop)
        };
        // There is nobody to tell here.
        let _gone_already = end();
    }
}

impl Element {
    fn id(&self) -> &str {
        self.0[ELEMENT].as_str().unwrap_or_default()
    }
}

/// One WebDriver call; its `value`, or its error as `name: message`.
async fn call(client: &reqwest::Client, method: Method, url: &str, body: &Value) -> Outcome<Value> {
    let mut request = client.request(method, url);
    if !body.is_null() {
        request = request.json(body);
    }
    let mut answer: Value = request.send().await?.json().await?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(name) => {
            let message = value["message"].as_str().unwrap_or_default();
            Err(Failure::new(format!("{name}: {}", message.lines().next().unwrap_or_default())))
        }
        None => Ok(value),
    }
}

fn decode_base64(text: &Value) -> Outcome<Vec<u8>> {
    let text = text.as_str().ok_or_else(|| Failure::new("the browser sent no picture"))?;
    Ok(BASE64_STANDARD.decode(text)?)
}
