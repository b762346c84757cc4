//! Blobs, which are written and deleted part by part: a component has megabytes, and whoever has an event to write must
//! not wait for all of them. A blob is there once its first part is, which comes last and goes first.

use hookmill_core::Digest;
use rusqlite::{Connection, OptionalExtension as _};

use super::trouble::{Trouble, damaged};

/// Parts that are deleted at once.
const DELETED_PARTS: u32 = 4;

/// Tells whether a blob is there.
pub(super) fn is_there(db: &Connection, digest: Digest) -> Result<bool, Trouble> {
    let mut statement = db.prepare_cached("SELECT 1 FROM blob WHERE digest = ?")?;
    Ok(statement.query_row([digest.as_bytes()], |_| Ok(())).optional()?.is_some())
}

/// Returns a blob.
pub(super) fn read(db: &Connection, digest: Digest) -> Result<Option<Vec<u8>>, Trouble> {
    // In one statement, so that all parts are from the same moment.
    let mut statement = db.prepare_cached(
        "SELECT place, bytes FROM (SELECT 0 AS place, bytes FROM blob WHERE digest = ?1
           UNION ALL SELECT place, bytes FROM blob_part WHERE blob = ?1) ORDER BY place",
    )?;
    let mut rows = statement.query([digest.as_bytes()])?;
    let mut whole = Vec::new();
    let mut there = false;
    while let Some(row) = rows.next()? {
        there |= row.get::<_, i64>(0)? == 0;
        whole.extend_from_slice(row.get_ref(1)?.as_blob().map_err(|error| damaged("a blob", error))?);
    }
    match there {
        true if Digest::of(&whole) != digest => Err(damaged("a blob", format!("its digest is not {digest}"))),
        there => Ok(there.then_some(whole)),
    }
}

/// Keeps one of `count` parts. Answers whether the blob is on its way to be whole: false for a first part without all
/// others, which were deleted meanwhile.
pub(super) fn put(db: &Connection, digest: Digest, place: u32, count: u32, bytes: &[u8]) -> Result<bool, Trouble> {
    let key = digest.as_bytes();
    if place > 0 {
        let mut statement =
            db.prepare_cached("INSERT OR IGNORE INTO blob_part (blob, place, bytes) VALUES (?, ?, ?)")?;
        statement.execute((key, place, bytes))?;
        return Ok(true);
    }
    let mut others = db.prepare_cached("SELECT count(*) FROM blob_part WHERE blob = ?")?;
    if others.query_row([key], |row| row.get::<_, u32>(0))? + 1 != count {
        return Ok(false);
    }
    db.prepare_cached("INSERT OR IGNORE INTO blob (digest, bytes) VALUES (?, ?)")?.execute((key, bytes))?;
    Ok(true)
}

/// Deletes the first part of a blob.
pub(super) fn delete(db: &Connection, digest: Digest) -> Result<(), Trouble> {
    db.prepare_cached("DELETE FROM blob WHERE digest = ?")?.execute([digest.as_bytes()])?;
    Ok(())
}

/// Deletes some parts of a blob that is not there; answers whether there were any.
pub(super) fn trim(db: &Connection, digest: Digest) -> Result<bool, Trouble> {
    let mut statement = db.prepare_cached(
        "DELETE FROM blob_part WHERE NOT EXISTS (SELECT 1 FROM blob WHERE digest = ?1)
           AND rowid IN (SELECT rowid FROM blob_part WHERE blob = ?1 LIMIT ?2)",
    )?;
    Ok(statement.execute((digest.as_bytes(), DELETED_PARTS))? > 0)
}

/// Deletes all parts that a process left behind which ended in the midst of writing or deleting a blob.
pub(super) fn trim_all(db: &Connection) -> Result<(), Trouble> {
    db.execute("DELETE FROM blob_part WHERE blob NOT IN (SELECT digest FROM blob)", [])?;
    Ok(())
}
