//! The helper image: this very binary, with its loader and libraries if it needs any, imported
//! through the engine's API. No registry is asked, and nothing is expected of a target's image.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bollard::body_full;
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions};
use bytes::Bytes;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::engine::{Engine, failed};
use crate::chaos::runtime::RuntimeError;
use crate::platform::docker::is_absent;

/// Nobody else's image has this name.
const REPOSITORY: &str = "shakedown-helper";
/// Where the binary is in the image.
pub const PROGRAM: &str = "/shakedown";
/// Where its libraries are.
pub const LIBRARIES: &str = "/shakedown-libraries";
const PROGRAM_MODE: u32 = 0o755;
/// The name of the image that was made of this process.
static PACKED: OnceLock<String> = OnceLock::new();

/// The name of the helper image on an engine, where it is imported unless it is there.
///
/// # Errors
/// When the engine is of another architecture or system than this binary, or refuses.
pub async fn ensure(engine: &Engine) -> Result<String, RuntimeError> {
    let own = architecture();
    if engine.architecture != own {
        let (url, theirs) = (&engine.address.url, &engine.architecture);
        return Err(RuntimeError::new(format!(
            "the engine at {url} is {theirs}, this program {own}: its helpers cannot run there"
        )));
    }
    // What this process has packed once is what it is: its file may be another by now, or gone.
    if let Some(name) = PACKED.get()
        && is_there(engine, name).await?
    {
        return Ok(name.clone());
    }
    let unreadable = |error: io::Error| RuntimeError::new(format!("the helper image: {error}"));
    let packed = spawn_blocking(pack_this_process).await;
    let packed = packed.map_err(|error| RuntimeError::new(error.to_string()))?;
    let packed = packed.map_err(unreadable)?;
    let digest = Sha256::digest(&packed);
    let tag: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{REPOSITORY}:{tag}");
    if is_there(engine, &name).await? {
        return Ok(PACKED.get_or_init(|| name).clone());
    }
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(REPOSITORY.into()),
        tag: Some(tag),
        ..CreateImageOptions::default()
    };
    let body = body_full(Bytes::from(packed));
    let mut progress = Box::pin(engine.docker.create_image(Some(options), Some(body), None));
    while let Some(step) = progress.next().await {
        step.map_err(failed)?;
    }
    Ok(PACKED.get_or_init(|| name).clone())
}

async fn is_there(engine: &Engine, name: &str) -> Result<bool, RuntimeError> {
    match engine.docker.inspect_image(name).await {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Removes the helper images of an engine, and says what is left of them.
///
/// # Errors
/// When the engine does not answer.
pub async fn remove(engine: &Engine) -> Result<(), RuntimeError> {
    for name in names(engine).await? {
        let options = RemoveImageOptions { force: true, ..RemoveImageOptions::default() };
        match engine.docker.remove_image(&name, Some(options), None).await {
            Err(error) if !is_absent(&error) => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

/// The helper images of an engine.
///
/// # Errors
/// When the engine does not answer.
pub async fn names(engine: &Engine) -> Result<Vec<String>, RuntimeError> {
    let filters = [("reference".to_owned(), vec![REPOSITORY.to_owned()])];
    let options = ListImagesOptions { filters: Some(filters.into()), ..Default::default() };
    let images = engine.docker.list_images(Some(options)).await.map_err(failed)?;
    Ok(images.into_iter().flat_map(|image| image.repo_tags).collect())
}

/// This binary's architecture, as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What this process runs, also where its file was replaced or removed since it was started. Named by
/// number: for the loader, itself would be the loader.
fn pack_this_process() -> io::Result<Vec<u8>> {
    pack(Path::new(&format!("/proc/{}/exe", std::process::id())))
}

/// A root file system of a program, its loader and its libraries.
fn pack(program: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.mode(tar::HeaderMode::Deterministic);
    add(&mut archive, program, Path::new(PROGRAM))?;
    if let Some(loader) = loader_of(program)? {
        for (name, path) in libraries(&loader, program)? {
            add(&mut archive, &path, &Path::new(LIBRARIES).join(name))?;
        }
        add(&mut archive, &loader, &loader)?;
    }
    // Where an engine mounts its own.
    for folder in ["proc", "sys", "dev", "etc"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(PROGRAM_MODE);
        header.set_size(0);
        archive.append_data(&mut header, folder, io::empty())?;
    }
    archive.into_inner()
}

fn add(archive: &mut tar::Builder<Vec<u8>>, from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(PROGRAM_MODE);
    header.set_size(file.metadata()?.len());
    archive.append_data(&mut header, to.strip_prefix("/").unwrap_or(to), &mut file)
}

/// The loader that a program asks for (`PT_INTERP` of its ELF program headers); none for one that
/// is linked statically.
fn loader_of(program: &Path) -> io::Result<Option<PathBuf>> {
    const INTERPRETER: u32 = 3;
    let mut file = File::open(program)?;
    let mut header = [0; 64];
    file.read_exact(&mut header)?;
    let (start, size, count) = (long(&header, 0x20), short(&header, 0x36), short(&header, 0x38));
    for at in 0..u64::from(count) {
        let mut entry = [0; 56];
        file.seek(SeekFrom::Start(start + at * u64::from(size)))?;
        file.read_exact(&mut entry)?;
        if u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) == INTERPRETER {
            let mut path = Vec::new();
            file.seek(SeekFrom::Start(long(&entry, 0x08)))?;
            file.take(long(&entry, 0x20)).read_to_end(&mut path)?;
            let path = String::from_utf8_lossy(&path);
            return Ok(Some(PathBuf::from(path.trim_end_matches('\0'))));
        }
    }
    Ok(None)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_le_bytes)
}

/// What the loader finds for a program: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`.
fn libraries(loader: &Path, program: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let output = Command::new(loader).arg("--list").arg(program).output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("{}: {why}", loader.display())));
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

fn listed(text: &str) -> Vec<(String, PathBuf)> {
    let pairs = text.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(" => ")?;
        let path = rest.rsplit_once(" (").map_or(rest, |(path, _)| path);
        let name = Path::new(name).file_name()?.to_str()?;
        path.starts_with('/').then(|| (name.to_owned(), PathBuf::from(path)))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_packed_with_all_that_it_needs_and_runs_from_there() {
        let packed = pack_this_process().expect("packed");
        assert_eq!(packed, pack_this_process().expect("packed"), "always the same");
        let folder = tempfile::tempdir().expect("temporary folder");
        tar::Archive::new(packed.as_slice()).unpack(folder.path()).expect("unpacked");
        let program = folder.path().join("shakedown");
        let Some(loader) = loader_of(Path::new("/proc/self/exe")).expect("an ELF file") else {
            return assert!(program.exists());
        };
        let output = Command::new(folder.path().join(loader.strip_prefix("/").expect("absolute")))
            .arg("--library-path")
            .arg(folder.path().join(LIBRARIES.trim_start_matches('/')))
            .arg(&program)
            .arg("--list")
            .output()
            .expect("runs");
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn a_program_is_packed_whose_file_is_gone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("sleeps");
        std::fs::copy("/bin/sleep", &file).expect("copied");
        let whole = pack(&file).expect("packed");
        let mut child = Command::new(&file).arg("1000").spawn().expect("starts");
        std::fs::remove_file(&file).expect("removed");
        let packed = pack(Path::new(&format!("/proc/{}/exe", child.id())));
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(packed.expect("packed") == whole, "the same, whatever became of the file");
    }

    #[test]
    fn what_the_loader_lists_is_understood() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibgcc_s.so.1 => /lib/libgcc_s.so.1 (0x2)\n\
                    \tlibc.so.6 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        assert_eq!(listed(text), [("libgcc_s.so.1".into(), PathBuf::from("/lib/libgcc_s.so.1"))]);
    }
}
