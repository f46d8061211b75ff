//! The outbox of grades: rows that launches make and checks change, worked under a lease.

use crate::{
    SqlStore,
    db::Tx,
    error::{During, Failure},
    grade_row::{COLUMNS, read, write_row},
    leases, row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, LabId, SessionId, Subject, Timestamp,
    grading::{Grade, GradeAddress, GradeRow, GradeState, GradeTarget, Points, grade_of, points_of},
    lab::LabFile,
    launch::lti::RegistrationId,
    port::{
        GRADES_DUE_MAX, GRADES_LISTED_MAX, GradeChange, GradeCounts, GradeStore, GradeWrite, OUTBOX_LEASE, StoreError,
    },
};
use sqlx::{AnyConnection, AssertSqlSafe};
