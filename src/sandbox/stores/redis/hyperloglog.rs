//! HyperLogLog: how many different members there were, from 12 KiB, in the dense form in which Redis
//! keeps it in a string. The estimator is Ertl's <https://arxiv.org/abs/1702.01284>.

use super::command::{Command, reads, writes};
use super::db::{Bytes, Db, Refusal, Value};
use super::resp::Reply;

const REGISTERS: usize = 1 << 14;
const HEADER: usize = 16;
const BITS: usize = 6;
const LENGTH: usize = HEADER + REGISTERS * BITS / 8;
/// Zeros that a hash can begin with, behind the 14 bits that choose the register.
const Q: usize = 64 - 14;

pub const COMMANDS: &[Command] = &[
    writes("PFADD", -2, |db, words| {
        let absent = db.entry(&words[0]).is_none();
        let mut registers = read(db, &words[0])?;
        let mut changed = absent;
        for member in &words[1..] {
            let (at, zeros) = place(member);
            if zeros > registers[at] {
                registers[at] = zeros;
                changed = true;
            }
        }
        if changed {
            let expires = db.entry(&words[0]).and_then(|entry| entry.expires);
            db.put(words[0].clone(), Value::String(write(&registers)), expires);
        }
        Ok(Reply::flag(changed))
    }),
    reads("PFCOUNT", -2, |db, words| Ok(Reply::Int(estimate(&union(db, words)?)))).keys_to(-1),
    writes("PFMERGE", -2, |db, words| {
        let registers = union(db, words)?;
        db.put(words[0].clone(), Value::String(write(&registers)), None);
        Ok(Reply::OK)
    })
    .keys_to(-1),
];

fn read(db: &mut Db, key: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(bytes) = db.get::<Bytes>(key)? else { return Ok(vec![0; REGISTERS]) };
    if bytes.len() != LENGTH || !bytes.starts_with(b"HYLL\0") {
        return Err(Refusal("WRONGTYPE Key is not a valid HyperLogLog string value.".into()));
    }
    let bits = &bytes[HEADER..];
    let register = |number: usize| {
        let (at, shift) = (number * BITS / 8, number * BITS % 8);
        let next = bits.get(at + 1).copied().unwrap_or(0);
        ((u16::from(bits[at]) | u16::from(next) << 8) >> shift) as u8 & 63
    };
    Ok((0..REGISTERS).map(register).collect())
}

fn write(registers: &[u8]) -> Bytes {
    let mut bytes = vec![0; LENGTH];
    bytes[..4].copy_from_slice(b"HYLL");
    // No estimate is kept: the highest bit of the last byte says so.
    bytes[HEADER - 1] = 0x80;
    for (number, value) in registers.iter().enumerate() {
        let (at, shift) = (HEADER + number * BITS / 8, number * BITS % 8);
        let wide = u16::from(*value) << shift;
        bytes[at] |= wide as u8;
        if wide > 255 {
            bytes[at + 1] |= (wide >> 8) as u8;
        }
    }
    bytes
}

fn union(db: &mut Db, keys: &[Bytes]) -> Result<Vec<u8>, Refusal> {
    let mut all = vec![0; REGISTERS];
    for key in keys {
        let one = read(db, key)?;
        all.iter_mut().zip(one).for_each(|(most, value)| *most = value.max(*most));
    }
    Ok(all)
}

/// The register of a member, and how many zeros its hash has there, plus one.
fn place(member: &[u8]) -> (usize, u8) {
    let hash = murmur64a(member, 0xadc8_3b19);
    let rest = (hash >> 14) | (1 << Q);
    ((hash as usize) & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash2 of 64 bits, the variant for 64-bit machines.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let word = word.wrapping_mul(M);
        hash = (hash ^ (word ^ word >> 47).wrapping_mul(M)).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

fn estimate(registers: &[u8]) -> i64 {
    let mut histogram = [0_u32; Q + 2];
    for value in registers {
        histogram[usize::from(*value).min(Q + 1)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(histogram[Q + 1]) / m);
    for count in histogram[1..=Q].iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (0.5 / std::f64::consts::LN_2 * m * m / z).round() as i64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_within_three_standard_errors() {
        let command = |name| super::super::command::find(name).expect("known").run;
        let mut db = Db::default();
        assert_eq!(command(b"PFADD")(&mut db, &[b"h".to_vec()]), Ok(Reply::Int(1)));
        assert_eq!(command(b"PFCOUNT")(&mut db, &[b"h".to_vec()]), Ok(Reply::Int(0)));
        let members: Vec<_> = (0..20_000).map(|n| format!("member {n}").into_bytes()).collect();
        for some in members.chunks(1_000) {
            let words = [&[b"h".to_vec()], some].concat();
            command(b"PFADD")(&mut db, &words).expect("added");
        }
        let Ok(Reply::Int(count)) = command(b"PFCOUNT")(&mut db, &[b"h".to_vec()]) else {
            panic!("a number")
        };
        assert!((count - 20_000).abs() < 20_000 * 3 * 81 / 10_000, "{count}");
        let registers = read(&mut db, b"h").expect("read");
        assert_eq!(read(&mut db, b"h"), Ok(registers.clone()));
        db.put(b"copy".to_vec(), Value::String(write(&registers)), None);
        assert_eq!(read(&mut db, b"copy"), Ok(registers));
    }
}
