//! A capsule in Rust that uses no crate: everything between it and the host is here.
//! With crates.io at hand, astrid-sdk and serde_json do what `host` and `json` do.
//!
//!     ./build DIR        jot.wasm and Capsule.toml, to be installed from DIR

mod host;
mod json;

use json::Value;

const LAST: &str = "last";
const COUNT: &str = "count";

/// Serves the tools of the manifest.
#[no_mangle]
pub extern "C" fn astrid_tool_call() -> i32 {
    host::answer(called().and_then(|(name, arguments)| match name.as_str() {
        "jot" => jot(text(&arguments, "path")?, text(&arguments, "line")?),
        "jotted" => jotted(),
        "jot_line" => jot_line(text(&arguments, "path")?, &arguments),
        _ => Err(format!("{name}: this capsule has no such tool")),
    }))
}

/// Serves the interceptor: byte 0 lets a message pass, 2 denies it with a reason.
#[no_mangle]
pub extern "C" fn astrid_hook_trigger() -> i32 {
    host::answer(called().map(|(_, message)| {
        if message.contains("BEGIN PRIVATE KEY") {
            b"\x02keys are not for tools".to_vec()
        } else {
            vec![0]
        }
    }))
}

/// Is called once, after somebody agreed to the capsule.
#[no_mangle]
pub extern "C" fn astrid_install() -> i32 {
    host::set(COUNT, b"0");
    host::answer(Ok(Vec::new()))
}

fn jot(path: String, line: String) -> Result<Vec<u8>, String> {
    let mut notes = if host::exists(&path) {
        host::read(&path)
    } else {
        Vec::new()
    };
    notes.extend_from_slice(line.as_bytes());
    notes.push(b'\n');
    host::write(&path, &notes);
    host::set(COUNT, (count()? + 1).to_string().as_bytes());
    host::set(LAST, path.as_bytes());
    host::log("info", &format!("{path} has {} bytes", notes.len()));
    Ok(format!("{path} has {} bytes", notes.len()).into_bytes())
}

fn jotted() -> Result<Vec<u8>, String> {
    let last = host::get(LAST)?;
    Ok(format!("{} {}", count()?, String::from_utf8_lossy(&last)).into_bytes())
}

/// A panic ends the call and its instance; the capsule serves on.
fn jot_line(path: String, arguments: &str) -> Result<Vec<u8>, String> {
    let number = match json::parse(arguments)?.member("number") {
        Some(Value::Number(n)) if *n >= 1.0 => *n as usize,
        _ => return Err("number must be 1 or more".into()),
    };
    let notes = String::from_utf8(host::read(&path)).map_err(|_| format!("{path} is no text"))?;
    let lines: Vec<&str> = notes.lines().collect();
    Ok(lines[number - 1].as_bytes().to_vec())
}

fn count() -> Result<u64, String> {
    let stored = host::get(COUNT)?;
    let stored = String::from_utf8_lossy(&stored);
    stored
        .parse()
        .map_err(|_| format!("what is stored as {COUNT} is no number"))
}

/// Reads the envelope of a call: its name, and its arguments as text.
fn called() -> Result<(String, String), String> {
    let input = String::from_utf8(host::input()).map_err(|_| "the call is no text")?;
    let envelope = json::parse(&input)?;
    let name = match envelope.member("name") {
        Some(Value::Text(name)) => name.clone(),
        _ => return Err("the call has no name".into()),
    };
    let arguments = envelope
        .member("arguments")
        .map_or(Ok(Vec::new()), Value::bytes)?;
    Ok((
        name,
        String::from_utf8(arguments).map_err(|_| "the arguments are no text")?,
    ))
}

fn text(arguments: &str, name: &str) -> Result<String, String> {
    match json::parse(arguments)?.member(name) {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(format!("{name} must be a text")),
    }
}
