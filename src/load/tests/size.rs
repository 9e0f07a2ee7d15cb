//! What a user costs in memory while it does nothing.

use super::super::user::User;

/// Size of what a function returns.
const fn size_of_return<F, R>(_: &F) -> usize
where
    F: FnOnce(User) -> R,
{
    size_of::<R>()
}

#[test]
fn a_user_is_small() {
    let bytes = size_of_return(&User::live);
    println!("a user has {bytes} bytes");
    assert!(bytes < 4096, "{bytes} bytes");
}
