//! Between columns and the core's types. Three column types only: text, 64-bit integers, bytes.

use crate::error::Failure;
use lab_core::Timestamp;
use sqlx::{Row as _, any::AnyRow};
use std::str::FromStr;

type Read<T> = Result<T, Failure>;

pub(crate) fn text(row: &AnyRow, column: &str) -> Read<String> {
    Ok(row.try_get(column)?)
}

pub(crate) fn text_opt(row: &AnyRow, column: &str) -> Read<Option<String>> {
    Ok(row.try_get(column)?)
}

pub(crate) fn int(row: &AnyRow, column: &str) -> Read<i64> {
    Ok(row.try_get(column)?)
}

pub(crate) fn int_opt(row: &AnyRow, column: &str) -> Read<Option<i64>> {
    Ok(row.try_get(column)?)
}

/// A small number: counts, points, priorities.
pub(crate) fn small<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Read<T> {
    T::try_from(int(row, column)?).map_err(|_| Failure::Unreadable(format!("{column} is out of range")))
}

pub(crate) fn time(row: &AnyRow, column: &str) -> Read<Timestamp> {
    int(row, column).map(Timestamp)
}

pub(crate) fn time_opt(row: &AnyRow, column: &str) -> Read<Option<Timestamp>> {
    Ok(int_opt(row, column)?.map(Timestamp))
}

/// Offsets and the agent's clock. Stored as they fit in 63 bits; see [`count`].
pub(crate) fn unsigned(row: &AnyRow, column: &str) -> Read<u64> {
    small(row, column)
}

/// An id in its text form.
pub(crate) fn id<T: FromStr>(row: &AnyRow, column: &str) -> Read<T> {
    text(row, column)?
        .parse()
        .map_err(|_| Failure::Unreadable(format!("{column} is not an id")))
}

pub(crate) fn hash32(row: &AnyRow, column: &str) -> Read<[u8; 32]> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| Failure::Unreadable(format!("{column} is not 32 bytes")))
}

/// A `u64` as stored. Offsets and clocks come from an agent, which is not trusted: what does not fit in 63 bits is the
/// largest that does. No honest journal reaches 8 EiB, and no clock 292 000 years.
pub(crate) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// See [`unsigned`].
pub(crate) fn unsigned_opt(row: &AnyRow, column: &str) -> Read<Option<u64>> {
    int_opt(row, column)?
        .map(|n| u64::try_from(n).map_err(|_| Failure::Unreadable(format!("{column} is negative"))))
        .transpose()
}
