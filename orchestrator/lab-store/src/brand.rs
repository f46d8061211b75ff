//! In whose name a learner's labs are shown.

use crate::{db::Tx, error::Failure, row};
use lab_core::{CourseId, SiteId, Subject, entitlement::Bilingual};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::CourseStore::brand_put`].
pub(crate) async fn put(tx: &mut Tx, (site, brand): &(SiteId, Option<Bilingual>)) -> Result<(), Failure> {
    let Some(brand) = brand else {
        sqlx::query("DELETE FROM site_brand WHERE site = $1")
            .bind(site.as_str())
            .execute(tx.conn())
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO site_brand (site, en, fr) VALUES ($1, $2, $3)
         ON CONFLICT (site) DO UPDATE SET en = excluded.en, fr = excluded.fr",
    )
    .bind(site.as_str())
    .bind(&brand.en)
    .bind(&brand.fr)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// See [`lab_core::port::CourseStore::brand_list`].
pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<(SiteId, Bilingual)>, Failure> {
    let rows = sqlx::query("SELECT * FROM site_brand").fetch_all(conn).await?;
    let one = |r: &AnyRow| Ok((row::text(r, "site")?.into(), read(r)?));
    let mut all = rows.iter().map(one).collect::<Result<Vec<(SiteId, _)>, Failure>>()?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// See [`lab_core::port::CourseStore::brand_of`].
pub(crate) async fn of(
    conn: &mut AnyConnection,
    course: &CourseId,
    subject: &Subject,
) -> Result<Option<Bilingual>, Failure> {
    let found = sqlx::query(
        "SELECT b.en, b.fr FROM (
             SELECT site, 1 AS place, 0 AS age FROM enrolment WHERE course = $1 AND subject = $2
             UNION ALL SELECT site, 2, -created_at FROM lab_grant WHERE course = $1 AND subject = $2
             UNION ALL SELECT site, 3, 0 FROM course_run WHERE course = $1
         ) AS theirs JOIN site_brand b ON b.site = theirs.site
         ORDER BY theirs.place, theirs.age LIMIT 1",
    )
    .bind(course.as_str())
    .bind(subject.as_str())
    .fetch_optional(conn)
    .await?;
    found.as_ref().map(read).transpose()
}

fn read(r: &AnyRow) -> Result<Bilingual, Failure> {
    Ok(Bilingual {
        en: row::text(r, "en")?,
        fr: row::text(r, "fr")?,
    })
}
