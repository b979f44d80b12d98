//! The values of fields: what is read out of a number, what is put into it, and what is refused.

use io_core::{
    Bounded, bitfield,
    register::{Bitfield, FieldAccess},
};

bitfield! {
    /// Fields that overlap, and bits that have no name.
    struct Mixed(u32) {
        31:16 high;
        19:12 middle;
        7:4 nibble;
        0:0 bit;
    }

    struct Whole(u64) {
        63:0 all;
        63:63 top => bool;
    }

    struct Small(u8) {
        #[ro] 7:7 ready => bool;
        #[wo] 6:6 start => bool;
        #[rc] 5:4 errors;
        #[w1c] 3:3 done => bool;
        2:0 r#type;
    }

    struct Empty(u8) {}

    struct Conditional(u16) {
        15:12 first;
        #[cfg(not(any()))] 11:8 there;
        #[cfg(any())] 7:4 missing => crate::Missing;
        3:0 last;
    }
}

#[test]
fn fields_are_read_at_their_bits() {
    let mixed = Mixed::from(0xabcd_e0f1);
    assert_eq!(mixed.high(), 0xabcd);
    assert_eq!(mixed.middle(), 0xde);
    assert_eq!(mixed.nibble(), 0xf);
    assert_eq!(mixed.bit(), 1);
    assert_eq!(Whole::from(u64::MAX).all(), u64::MAX);
}

#[test]
fn a_field_that_is_written_loses_its_old_bits_and_no_others() {
    let ones = Mixed::from(u32::MAX);
    assert_eq!(ones.with_const_nibble::<0>().into_raw(), 0xffff_ff0f);
    assert_eq!(ones.with_const_nibble::<5>().into_raw(), 0xffff_ff5f);
    assert_eq!(ones.with_middle(0_u8).into_raw(), 0xfff0_0fff);
    assert_eq!(ones.with_high(0x1234_u16).into_raw(), 0x1234_ffff);
    assert_eq!(ones.with_bit(false).into_raw(), 0xffff_fffe);
    assert_eq!(Whole::zeroed().with_top(true).into_raw(), 1 << 63);
    assert_eq!(Whole::zeroed().with_all(u64::MAX).into_raw(), u64::MAX);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mixed = Mixed::from(0x55);
    assert_eq!(mixed.try_with_nibble(0xf_u64).unwrap().into_raw(), 0xf5);
    assert_eq!(mixed.try_with_nibble(mixed.bit()).unwrap().into_raw(), 0x15);
    let error = mixed.try_with_nibble(0x10_u16).unwrap_err();
    assert_eq!((error.value(), error.width()), (Some(0x10), 4));
    let error = mixed.try_with_nibble(-1_i8).unwrap_err();
    assert_eq!(error.value(), None);
    assert_eq!(
        error.to_string(),
        "the value does not fit in a field of 4 bits"
    );
    assert!(mixed.try_with_high(0x1_0000_0000_u64).is_err());
}

#[test]
fn constants_say_where_fields_are() {
    assert_eq!(Mixed::MIDDLE_MASK, 0x000f_f000);
    assert_eq!(Mixed::MIDDLE_SHIFT, 12);
    assert_eq!(Mixed::MIDDLE_RANGE.len(), 8);
    assert_eq!(
        (Mixed::MIDDLE_RANGE.start(), Mixed::MIDDLE_RANGE.end()),
        (12, 19)
    );
    assert_eq!(Whole::ALL_MASK, u64::MAX);
    assert_eq!(Small::TYPE_MASK, 7);
}

#[test]
fn constants_can_be_built_from_fields() {
    const START: Mixed = Mixed::zeroed().with_const_bit::<1>().with_const_high::<7>();
    assert_eq!(START.into_raw(), 0x0007_0001);
}

#[test]
fn fields_print_with_their_values() {
    assert_eq!(
        format!("{:?}", Small::from(0xa6)),
        "Small { raw: 0xa6, ready: 1, start: 0, errors: 2, done: 0, type: 6 }"
    );
    assert_eq!(
        format!("{:?}", Whole::from(1)),
        "Whole { raw: 0x0000000000000001, all: 1, top: 0 }"
    );
}

#[test]
fn fields_can_be_listed() {
    let listed: Vec<_> = Small::FIELDS
        .iter()
        .map(|field| (field.name, field.mask(), field.access))
        .collect();
    assert_eq!(
        listed,
        [
            ("ready", 0x80, FieldAccess::ReadOnly),
            ("start", 0x40, FieldAccess::WriteOnly),
            ("errors", 0x30, FieldAccess::ReadToClear),
            ("done", 0x08, FieldAccess::WriteOneToClear),
            ("type", 0x07, FieldAccess::ReadWrite),
        ]
    );
    let conditional: Vec<_> = Conditional::FIELDS
        .iter()
        .map(|field| (field.name, field.low, field.width))
        .collect();
    assert_eq!(
        conditional,
        [("first", 12, 4), ("there", 8, 4), ("last", 0, 4)]
    );
    assert_eq!(Empty::FIELDS.iter().count(), 0);
    let small = Small::from(0xff);
    assert!(small.ready() && small.done());
    assert_eq!((small.errors().get(), small.r#type().get()), (3, 7));
    assert_eq!(
        small.with_start(false).with_const_type::<1>().into_raw(),
        0xb9
    );
}

#[test]
fn a_bounded_converts_into_every_integer_that_is_wide_enough() {
    let value = Bounded::<u64, 7>::new::<0x7f>();
    assert_eq!(u8::from(value), 0x7f);
    assert_eq!(i8::from(value), 0x7f);
    assert_eq!(u16::from(value), 0x7f);
    assert_eq!(i64::from(value), 0x7f);
    assert_eq!(u128::from(value), 0x7f);
    assert_eq!(usize::from(value), 0x7f);
    let value = Bounded::<u32, 32>::new::<0xffff_ffff>();
    assert_eq!(u32::from(value), u32::MAX);
    assert_eq!(i64::from(value), 0xffff_ffff);
    assert_eq!(usize::from(value), 0xffff_ffff);
    let value: Bounded<u64, 33> = 0xffff_ffff_u32.into();
    assert_eq!(i64::from(value), 0xffff_ffff);
    assert!(!bool::from(Bounded::<u8, 1>::from(false)));
}

#[test]
fn a_bounded_computes_as_its_integer() {
    let (a, b) = (
        Bounded::<u32, 8>::new::<200>(),
        Bounded::<u32, 4>::new::<3>(),
    );
    assert_eq!((a + b, a - b, a * b, a / b, a % b), (203, 197, 600, 66, 2));
    assert_eq!((a & 0xf, a | 1, a ^ b, !b), (8, 201, 203, 0xffff_fffc));
    assert_eq!((a << 4, a >> 4, *a + 1), (3200, 12, 201));
    assert_eq!(a.shr::<4, 4>().get(), 12);
    assert_eq!(a.try_shrink::<7>(), None);
    assert!(a > 199 && b == 3);
    assert_eq!(format!("{a} {a:#x} {b:b} {a:?}"), "200 0xc8 11 200");
}

#[test]
#[should_panic(expected = "0x10 has more than 4 bits")]
fn an_expression_with_too_many_bits_panics() {
    let _ = Bounded::<u32, 4>::from_expr(std::hint::black_box(0x10));
}
