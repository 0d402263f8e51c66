//! The host: what it passes and takes are blocks of its own memory, by their offset.

use crate::json;

#[link(wasm_import_module = "extism:host/env")]
extern "C" {
    fn alloc(length: u64) -> u64;
    fn free(block: u64);
    fn length(block: u64) -> u64;
    fn load_u8(at: u64) -> u32;
    fn load_u64(at: u64) -> u64;
    fn store_u8(at: u64, byte: u32);
    fn store_u64(at: u64, word: u64);
    fn input_length() -> u64;
    fn input_load_u8(at: u64) -> u32;
    fn output_set(block: u64, length: u64);
    fn error_set(block: u64);
}

#[link(wasm_import_module = "extism:host/user")]
extern "C" {
    fn astrid_fs_exists(path: u64) -> u64;
    fn astrid_read_file(path: u64) -> u64;
    fn astrid_write_file(path: u64, data: u64);
    fn astrid_kv_get(key: u64) -> u64;
    fn astrid_kv_set(key: u64, value: u64);
    fn astrid_log(level: u64, text: u64);
}

/// Copies bytes into a new block.
fn block(data: &[u8]) -> u64 {
    let at = unsafe { alloc(data.len() as u64) };
    let words = data.chunks_exact(8);
    let rest = at + (data.len() - words.remainder().len()) as u64;
    for (i, byte) in words.remainder().iter().enumerate() {
        unsafe { store_u8(rest + i as u64, (*byte).into()) }
    }
    for (i, word) in words.enumerate() {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        unsafe { store_u64(at + 8 * i as u64, word) }
    }
    at
}

/// Copies a block and gives it back; 0 is the empty one.
fn take(at: u64) -> Vec<u8> {
    if at == 0 {
        return Vec::new();
    }
    let n = unsafe { length(at) };
    let mut data = Vec::with_capacity(n as usize);
    for i in 0..n / 8 {
        data.extend_from_slice(&unsafe { load_u64(at + 8 * i) }.to_le_bytes());
    }
    for i in n / 8 * 8..n {
        data.push(unsafe { load_u8(at + i) } as u8);
    }
    unsafe { free(at) };
    data
}

/// What the capsule was called with.
pub fn input() -> Vec<u8> {
    (0..unsafe { input_length() })
        .map(|i| unsafe { input_load_u8(i) } as u8)
        .collect()
}

/// Hands the result of a call over; what is returned is the result of the export.
pub fn answer(result: Result<Vec<u8>, String>) -> i32 {
    match result {
        Ok(output) => unsafe { output_set(block(&output), output.len() as u64) },
        Err(text) => {
            unsafe { error_set(block(text.as_bytes())) };
            return -1;
        }
    }
    0
}

pub fn exists(path: &str) -> bool {
    take(unsafe { astrid_fs_exists(block(path.as_bytes())) }) == b"true"
}

/// Reads a file; when that fails, the host ends the call with its reason.
pub fn read(path: &str) -> Vec<u8> {
    take(unsafe { astrid_read_file(block(path.as_bytes())) })
}

pub fn write(path: &str, data: &[u8]) {
    unsafe { astrid_write_file(block(path.as_bytes()), block(data)) }
}

/// Reads what is stored under a key: the host answers with a list of numbers.
pub fn get(key: &str) -> Result<Vec<u8>, String> {
    let list = take(unsafe { astrid_kv_get(block(key.as_bytes())) });
    if list.is_empty() {
        return Ok(list);
    }
    json::parse(&String::from_utf8_lossy(&list))?.bytes()
}

pub fn set(key: &str, value: &[u8]) {
    unsafe { astrid_kv_set(block(key.as_bytes()), block(value)) }
}

pub fn log(level: &str, text: &str) {
    unsafe { astrid_log(block(level.as_bytes()), block(text.as_bytes())) }
}
