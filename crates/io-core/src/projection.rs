//! From the view of a structure or an array to the view of a part of it.
//!
//! The macros leave the work to the functions here, which are for them alone.
#![expect(unsafe_code, reason = "projects views, which backends trust")]

mod index;
mod macros;
mod own_fields;

pub use index::{Elements, ViewIndex};

use crate::{AccessError, AccessErrorKind, IoBackend, IoBase, project};
use own_fields::OwnFields;
use std::mem::MaybeUninit;

/// The view of the part of a backend's view.
type Part<'a, V, U> = <<V as IoBase<'a>>::Backend as IoBackend>::View<'a, U>;

/// The view of a field. `field` makes the pointer to it from one to the structure.
///
/// # Safety
///
/// `field` makes the pointer to a field that is aligned wherever the structure is, from the pointer that it
/// is given and by its place alone.
#[inline]
pub unsafe fn project_field<'a, V, U: 'a, How>(
    view: V,
    field: impl FnOnce(*mut V::Target) -> *mut U,
) -> Part<'a, V, U>
where
    V: IoBase<'a, Target: Sized + OwnFields<How>>,
{
    const {
        assert!(
            size_of::<V::Target>() <= 1 << 20,
            "a structure of more than 1 MiB: make it an array, or a view of each part"
        );
    }
    // A backend's pointers need not point to memory, and even the address of a place may only be taken of
    // what does. So it is taken on the stack, and the distance is what counts; no byte of it is touched.
    let mut place = MaybeUninit::<V::Target>::uninit();
    let start = place.as_mut_ptr();
    let offset = field(start).addr() - start.addr();
    // SAFETY: the field is in the structure, and aligned, as the caller has shown.
    unsafe { project::project::<V::Backend, V::Target, U>(view.as_view(), offset) }
}

/// The view of the element, or of the elements, that `index` says.
///
/// # Errors
///
/// They are not in the array.
#[inline]
pub fn try_project_index<'a, V, I>(view: V, index: I) -> Result<Part<'a, V, I::Output>, AccessError>
where
    V: IoBase<'a, Target: Elements<Element: 'a>>,
    I: ViewIndex<<V::Target as Elements>::Element, Output: 'a>,
{
    let view = view.as_view();
    let ptr = V::Backend::as_ptr(view);
    let len = <V::Target as Elements>::len(ptr);
    let (start, end) = index.bounds(len);
    if start > end || end > len {
        let size = size_of::<<V::Target as Elements>::Element>();
        let count = end.saturating_sub(start).saturating_mul(size);
        let offset = start.saturating_mul(size);
        let kind = AccessErrorKind::OutOfBounds;
        return Err(project::error::<V::Backend, V::Target>(
            view, kind, offset, count,
        ));
    }
    let first = ptr
        .cast::<<V::Target as Elements>::Element>()
        .wrapping_add(start);
    let part = I::part(first, end - start);
    // SAFETY: derived from this view; the elements are in bounds, and aligned as the array is.
    Ok(unsafe { V::Backend::project_view(view, part) })
}

/// The view of the element, or of the elements, that `index` says.
///
/// # Panics
///
/// They are not in the array.
#[inline]
#[track_caller]
pub fn project_index<'a, V, I>(view: V, index: I) -> Part<'a, V, I::Output>
where
    V: IoBase<'a, Target: Elements<Element: 'a>>,
    I: ViewIndex<<V::Target as Elements>::Element, Output: 'a>,
{
    match try_project_index(view, index) {
        Ok(part) => part,
        Err(error) => panic!("{error}"),
    }
}

/// A constant index, which does not compile where an array has no such element.
#[derive(Debug)]
pub struct ConstIndex<const INDEX: usize>;

impl<const INDEX: usize> ConstIndex<INDEX> {
    /// The view of the element.
    #[inline]
    pub fn project<'a, V, U: 'a, const LEN: usize>(view: V) -> Part<'a, V, U>
    where
        V: IoBase<'a, Target = [U; LEN]>,
    {
        const {
            assert!(INDEX < LEN, "the array has no such element");
        }
        project_index(view, INDEX)
    }
}

/// A constant range, which does not compile where an array has no such elements.
#[derive(Debug)]
pub struct ConstRange<const START: usize, const END: usize>;

impl<const START: usize, const END: usize> ConstRange<START, END> {
    /// The view of the elements.
    #[inline]
    pub fn project<'a, V, U: 'a, const LEN: usize>(view: V) -> Part<'a, V, [U]>
    where
        V: IoBase<'a, Target = [U; LEN]>,
    {
        const {
            assert!(START <= END && END <= LEN, "the array has no such elements");
        }
        project_index(view, START..END)
    }
}
