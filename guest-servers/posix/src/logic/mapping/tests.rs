use super::*;

const PRIVATE: u64 = (linux::MAP_PRIVATE | linux::MAP_ANONYMOUS) as u64;
const SHARED: u64 = linux::MAP_SHARED as u64;
const PAGE: u64 = PAGE_SIZE;

fn map(address: u64, length: u64, flags: u64) -> Result<Request> {
    translate(address, length, 3, flags, 0)
}

#[test]
fn anonymous_private_anywhere() {
    let request = map(0, 1, PRIVATE).unwrap();
    assert_eq!(request.length, PAGE);
    assert_eq!(request.flags, MapFlags::PRIVATE);
    assert_eq!(request.prot, Prot::READ | Prot::WRITE);
    assert_eq!(request.zone, Zone::Any);
}

#[test]
fn the_personality_cannot_be_replaced() {
    let fixed = PRIVATE | u64::from(linux::MAP_FIXED);
    assert_eq!(map(STACK_TOP, 4096, fixed), Err(Errno::ENOMEM));
    assert_eq!(map(STACK_TOP - 4096, 8192, fixed), Err(Errno::ENOMEM));
    assert!(map(STACK_TOP - 4096, 4096, fixed).is_ok());
    assert_eq!(map(0x1_0001, 4096, fixed), Err(Errno::EINVAL));
    assert_eq!(map(0, 4096, fixed), Err(Errno::EPERM));
    let hint = map(STACK_TOP, 4096, PRIVATE).unwrap();
    assert_eq!((hint.address, hint.flags), (0, MapFlags::PRIVATE));
}

#[test]
fn kinds_of_mappings() {
    assert_eq!(map(0, 1, SHARED).unwrap().backing, Backing::SharedFile);
    let private = map(0, 1, linux::MAP_PRIVATE.into()).unwrap();
    assert_eq!(private.backing, Backing::PrivateFile);
    assert_eq!(map(0, 1, 0), Err(Errno::EINVAL));
    assert_eq!(map(0, 0, SHARED), Err(Errno::EINVAL));
    assert_eq!(map(0, u64::MAX, SHARED), Err(Errno::ENOMEM));
    assert_eq!(map(0, 1 << 60, SHARED), Err(Errno::ENOMEM));
    let validate = u64::from(linux::MAP_SHARED_VALIDATE);
    assert_eq!(map(0, 1, validate).unwrap().backing, Backing::SharedFile);
    assert_eq!(map(0, 1, validate | 1 << 27), Err(Errno::EOPNOTSUPP));
    let huge = PRIVATE | u64::from(linux::MAP_HUGETLB);
    assert_eq!(map(0, 1, huge), Err(Errno::ENOMEM));
}

#[test]
fn offsets_end_before_the_sign() {
    let far = i64::MAX as u64 & !(PAGE - 1);
    assert_eq!(translate(0, 4096, 1, SHARED, far), Err(Errno::EOVERFLOW));
    assert_eq!(
        translate(0, 4096, 1, SHARED, !(PAGE - 1)),
        Err(Errno::EOVERFLOW)
    );
    assert!(translate(0, 4096, 1, SHARED, far - PAGE).is_ok());
    assert!(translate(0, 4096, 1, PRIVATE, far).is_ok());
}

#[test]
fn only_private_memory_grows_down() {
    let down = u64::from(linux::MAP_GROWSDOWN);
    assert!(
        map(0, 1, PRIVATE | down)
            .unwrap()
            .flags
            .contains(MapFlags::GROWS_DOWN)
    );
    assert_eq!(map(0, 1, SHARED | down), Err(Errno::EINVAL));
}

#[test]
fn remaps() {
    let (may, fixed, keep) = (
        u64::from(linux::MREMAP_MAYMOVE),
        u64::from(linux::MREMAP_FIXED),
        u64::from(linux::MREMAP_DONTUNMAP),
    );
    let remap = |old, new, flags, target| translate_remap([USER_BASE, old, new, flags, target]);
    assert_eq!(remap(1, PAGE + 1, 0, 0).unwrap().new, 2 * PAGE);
    assert_eq!(remap(PAGE, PAGE, may, 0).unwrap().motion, Motion::Anywhere);
    let far = USER_BASE + 16 * PAGE;
    assert_eq!(
        remap(PAGE, PAGE, may | fixed, far).unwrap().motion,
        Motion::To(far)
    );
    for (old, new, flags, target) in [
        (PAGE, PAGE, fixed, far),
        (PAGE, PAGE, may | fixed, far + 1),
        (PAGE, PAGE, may | fixed, USER_BASE),
        (PAGE, PAGE, may | fixed, STACK_TOP),
        (PAGE, 2 * PAGE, may | keep, 0),
        (PAGE, PAGE, keep, 0),
        (PAGE, 0, may, 0),
        (0, PAGE, 0, 0),
        (PAGE, PAGE, 8, 0),
    ] {
        assert_eq!(
            remap(old, new, flags, target),
            Err(Errno::EINVAL),
            "{old} {new} {flags}"
        );
    }
    assert_eq!(
        translate_remap([STACK_TOP, PAGE, PAGE, may, 0]),
        Err(Errno::EFAULT)
    );
}

#[test]
fn locks_cover_whole_pages() {
    assert_eq!(pages(USER_BASE + 4000, 200), Ok((USER_BASE, 2 * PAGE)));
    assert_eq!(pages(USER_BASE + 10, u64::MAX), Err(Errno::EINVAL));
    assert_eq!(pages(0, 1), Err(Errno::ENOMEM));
}

#[test]
fn flags_of_msync() {
    assert_eq!(
        sync_flags(u64::from(linux::MS_SYNC | linux::MS_ASYNC)),
        Err(Errno::EINVAL)
    );
    assert_eq!(sync_flags(8), Err(Errno::EINVAL));
    assert_eq!(sync_flags(0), Ok(0));
    assert_eq!(sync_flags(6), Ok(6));
}
