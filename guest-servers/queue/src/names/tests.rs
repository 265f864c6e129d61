use super::*;

const ROOT: Who = Who { uid: 0, gid: 0 };
const ONE: Who = Who { uid: 1, gid: 10 };
const TWO: Who = Who { uid: 2, gid: 10 };
const OTHER: Who = Who { uid: 3, gid: 30 };
const CREATE: u32 = linux::O_CREAT | linux::O_RDWR;

fn open(name: &[u8], flags: u32, who: Who) -> Open<'_> {
    Open {
        name,
        flags,
        mode: 0o640,
        shape: None,
        who,
        limit: 819_200,
    }
}

/// A queue `q` of user 1, mode 0640.
fn names() -> Names {
    let mut names = Names::default();
    let new = open(b"q", CREATE, ONE);
    let Ok(Opened::New(shape)) = names.open(&new) else {
        panic!("it is new");
    };
    names.add(&new, 7, shape);
    names
}

#[test]
fn modes_decide_by_class() {
    let names = names();
    let ask = |flags, who| names.open(&open(b"q", flags, who));
    assert_eq!(ask(linux::O_RDWR, ONE), Ok(Opened::Existing(7)));
    assert_eq!(ask(linux::O_RDONLY, TWO), Ok(Opened::Existing(7)));
    assert_eq!(ask(linux::O_WRONLY, TWO), Err(EACCES));
    assert_eq!(ask(linux::O_RDONLY, OTHER), Err(EACCES));
    assert_eq!(ask(linux::O_RDWR, ROOT), Ok(Opened::Existing(7)));
    assert_eq!(ask(CREATE | linux::O_EXCL, ONE), Err(EEXIST));
    assert_eq!(ask(linux::O_ACCMODE, ONE), Err(EINVAL));
}

#[test]
fn names_are_what_linux_takes() {
    let names = names();
    let ask = |name: &[u8]| names.open(&open(name, linux::O_RDWR, ROOT)).err();
    assert_eq!(ask(b""), Some(ENOENT));
    assert_eq!(ask(b"a/b"), Some(EACCES));
    assert_eq!(ask(b".."), Some(EACCES));
    assert_eq!(ask(&[b'x'; 256]), Some(ENAMETOOLONG));
    assert_eq!(ask(&[b'x'; 255]), Some(ENOENT));
}

#[test]
fn limits_hold_for_all_but_user_0() {
    let names = names();
    let ask = |shape, who| {
        let asked = Open {
            shape: Some(shape),
            ..open(b"new", CREATE, who)
        };
        names.open(&asked)
    };
    assert_eq!(ask((0, 1), ROOT), Err(EINVAL));
    assert_eq!(ask((1, 0), ROOT), Err(EINVAL));
    assert_eq!(ask((11, 1), OTHER), Err(EINVAL));
    assert_eq!(ask((1, 8193), OTHER), Err(EINVAL));
    let most = Shape {
        messages: 10,
        size: 8192,
    };
    assert_eq!(ask((10, 8192), OTHER), Ok(Opened::New(most)));
    assert!(matches!(ask((100, 1), ROOT), Ok(Opened::New(_))));
    assert_eq!(ask((65536, 65536), ROOT), Err(EMFILE));
}

#[test]
fn bytes_come_back_with_the_queue_and_not_with_its_name() {
    let mut names = names();
    let shape = Shape {
        messages: 10,
        size: 8192,
    };
    for id in 0..20 {
        let name = [b'a' + id];
        let new = open(&name, CREATE, OTHER);
        match names.open(&new) {
            Ok(Opened::New(shape)) => names.add(&new, id.into(), shape),
            result => assert_eq!((id, result), (9, Err(EMFILE))),
        }
        if id == 9 {
            break;
        }
    }
    assert_eq!(names.unlink(b"a", OTHER), Ok(0));
    let again = open(b"z", CREATE, OTHER);
    assert_eq!(names.open(&again), Err(EMFILE));
    names.release(OTHER.uid, shape);
    assert_eq!(names.open(&again), Ok(Opened::New(shape)));
}

#[test]
fn only_the_owner_takes_the_name_away() {
    let mut names = names();
    assert_eq!(names.unlink(b"q", OTHER), Err(EACCES));
    assert_eq!(names.owner(7), Some((ONE, 0o640)));
    assert_eq!(names.unlink(b"q", ONE), Ok(7));
    assert_eq!(names.unlink(b"q", ONE), Err(ENOENT));
    assert_eq!(names.owner(7), None);
}

#[test]
fn what_a_subscriber_holds_counts_like_a_queue() {
    let mut names = names();
    let shape = Shape {
        messages: 10,
        size: 8192,
    };
    let limit = 2 * cost(shape);
    for _ in 0..2 {
        names.reserve(OTHER.uid, shape, limit).unwrap();
    }
    assert_eq!(names.reserve(OTHER.uid, shape, limit), Err(EMFILE));
    names.release(OTHER.uid, shape);
    assert_eq!(names.reserve(OTHER.uid, shape, limit), Ok(()));
}
