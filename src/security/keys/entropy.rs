//! Shannon's entropy.

/// Bits per character.
pub fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::HashMap::new();
    for letter in text.chars() {
        *counts.entry(letter).or_insert(0_u32) += 1;
    }
    let n = f64::from(counts.values().sum::<u32>().max(1));
    let shares = counts.values().map(|count| f64::from(*count) / n);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_many_bits_as_there_are_choices() {
        assert!(super::entropy("aaaa") < 0.01);
        assert!((super::entropy("abcd") - 2.0).abs() < 1e-9);
    }
}
