//! What every [`Store`](lab_core::port::Store) promises. Each function is one promise and takes an empty store.
//!
//! An adapter runs them all with [`store_contract!`](crate::store_contract), which makes one test of each.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "these are tests that live in a library"
)]

pub mod accounts;
pub mod courses;
pub mod days;
pub mod entitlement;
pub mod fixture;
pub mod forgotten;
pub mod givers;
pub mod grades;
pub mod history;
pub mod launch;
pub mod live;
pub mod lti;
pub mod metering;
pub mod money;
pub mod operations;
pub mod orders;
pub mod pool;
pub mod privacy;
pub mod provisioning;
pub mod recording;
pub mod staff;
pub mod terms;
pub mod test_runs;

/// One `#[tokio::test]` a promise. `$open` is an async function that gives an `Arc<dyn Store>` that is empty, and whatever
/// must live as long as it.
#[macro_export]
macro_rules! store_contract {
    ($open:path) => {
        $crate::store_contract!(@stage $open, launch:
            it_answers
            the_last_published_version_is_the_latest_and_all_stay
            a_withdrawn_lab_is_out_of_every_list_and_back_as_it_was_when_published_again
            courses_and_plans_are_as_they_were_last_put
            a_link_is_fresh_once
            a_bearer_opens_its_login_until_it_expires
            a_rotated_bearer_stays_good_for_its_grace_only
            a_ticket_opens_once_and_in_time
            a_login_has_so_many_tickets_and_the_oldest_gives_way
            a_sweep_drops_what_expired_a_day_ago_and_nothing_else
        );
        $crate::store_contract!(@stage $open, lti:
            a_registration_is_found_by_what_its_launches_bring
            one_issuer_may_have_several_registrations_and_no_two_are_the_same
            a_registration_that_is_refused_leaves_its_limits_as_they_were
            a_registration_that_is_removed_leaves_what_its_launches_gave
            the_newest_launch_that_was_taken_is_kept
            a_login_under_way_is_there_until_it_expires
            of_many_who_rotate_our_keys_at_once_one_does
            a_retired_key_is_published_until_its_end
            refused_launches_are_kept_newest_first_and_not_for_ever
            an_invitation_is_answered_once_and_in_time
            an_invitation_is_tried_so_often_and_no_more_however_many_try_at_once
            a_platform_that_waits_is_no_registration_before_somebody_says_yes
            a_name_is_one_platforms_whoever_comes_first
            an_invitation_that_nobody_answered_goes_and_who_waits_stays
            a_course_knows_where_each_of_its_platforms_lists_its_people
            two_ids_are_one_person_once_somebody_said_so_and_until_they_take_it_back
        );
        $crate::store_contract!(@stage $open, staff:
            a_sign_in_under_way_is_there_until_it_expires
            logins_are_listed_while_they_hold_oldest_first
            a_revoked_login_opens_nothing_from_the_next_look_on
            a_rotation_and_a_revocation_at_once_leave_no_login
        );
        $crate::store_contract!(@stage $open, entitlement:
            a_grant_is_issued_once
            a_learner_without_lab_time_is_told_their_plan
            a_grant_counts_from_its_first_moment_until_its_last
            admission_holds_time_in_burn_order_and_names_the_plan_that_pays
            less_than_the_least_time_starts_nothing
            a_second_click_finds_the_running_session
            a_session_that_stops_holds_up_no_new_click
            an_admission_that_fails_leaves_nothing
            fifty_clicks_at_once_make_one_session
            fifty_clicks_at_once_admit_what_the_plan_allows
            fifty_clicks_at_once_never_hold_more_time_than_there_is
        );
        $crate::store_contract!(@stage $open, provisioning:
            a_transition_needs_the_revision_it_read
            an_illegal_transition_changes_nothing
            ready_sets_its_times_once
            the_history_tells_every_state_and_its_cause
            every_reason_comes_back_as_it_was
            what_never_had_a_prompt_gives_everything_back
            activity_only_rises_and_a_deadline_only_moves_later
            a_list_is_filtered_and_newest_first
            a_session_that_is_not_there_is_said_to_be_missing
        );
        $crate::store_contract!(@stage $open, pool:
            a_pool_sandbox_is_made_then_ready_then_a_learners_and_never_again_anyone_elses
            a_warm_session_has_its_place_and_its_time_at_once
            of_fifty_clicks_at_once_on_ten_ready_ones_exactly_ten_are_warm
            a_click_gets_the_newest_version_and_of_it_the_oldest_sandbox
            a_click_that_is_refused_claims_nothing
            a_test_run_takes_no_warm_sandbox_from_learners
            a_claim_and_a_drain_at_once_have_one_winner
            a_keeper_that_lost_the_pools_writes_nothing_any_more
            a_pool_grows_only_where_there_is_room
        );
        $crate::store_contract!(@stage $open, metering:
            a_hold_grows_to_the_total_asked_for
            settlement_bills_once_whoever_asks
            the_rest_goes_back_to_where_it_came_from
            use_beyond_the_hold_is_paid_by_what_is_left_and_no_more
            time_that_was_lost_is_not_billed_and_says_why
            of_losses_that_may_be_the_learners_one_within_a_day_is_unbilled_however_many_end_at_once
            two_sessions_cannot_spend_the_same_second
            usage_is_told_by_course_learner_and_lab_oldest_first
        );
        $crate::store_contract!(@stage $open, money:
            a_plan_is_kept_with_all_it_says
            a_voucher_gives_one_grant_to_whoever_redeems_it_first
            fifty_who_redeem_a_code_at_once_get_one_grant
            a_voucher_that_cannot_be_redeemed_says_why
            a_voucher_of_a_course_that_is_over_gives_nothing_and_is_still_good
            who_guesses_has_to_wait_and_a_right_code_is_no_guess
            what_is_left_when_a_grant_ends_is_breakage
            a_grant_that_is_taken_back_keeps_what_is_held_and_gives_nothing_more
            what_makes_good_comes_from_its_own_account
            a_refund_reverses_what_was_billed_once_a_reason_and_never_more
            a_refund_to_a_grant_that_ended_is_said_to_be_of_no_use
            time_that_a_session_stood_still_moves_its_end_and_is_counted
        );
        $crate::store_contract!(@stage $open, days:
            a_days_cap_holds_over_sessions_and_within_one
            seconds_count_to_the_day_they_are_used_in_where_the_course_is
            a_days_cap_is_of_23_and_of_25_hours_where_clocks_change
        );
        $crate::store_contract!(@stage $open, accounts:
            a_statement_agrees_with_the_ledger_of_every_scope
            what_came_before_a_period_is_its_opening
            a_boundary_of_daylight_saving_or_a_leap_day_loses_and_doubles_nothing
            an_alert_is_raised_once_a_threshold_and_never_a_lower_one_later
            what_is_spent_is_what_was_taken_from_grants
            of_fifty_who_raise_an_alert_at_once_one_does
            an_alert_goes_out_once_and_is_tried_again_until_then
            a_clerk_that_slept_marks_nothing_any_more
            a_rate_is_frozen_at_admission_and_a_cost_is_booked_once
            what_was_kept_warm_is_overhead_and_nobodys_cost
            the_last_reconciliation_is_kept
            a_sponsors_grants_are_valid_while_they_are_attested
        );
        $crate::store_contract!(@stage $open, orders:
            an_order_gives_one_grant_however_often_it_is_sent
            fifty_who_send_an_order_at_once_get_one_grant
            a_shops_budget_holds_over_orders_at_once_and_over_its_keys
            an_order_that_is_cancelled_gives_back_what_was_not_used
            a_revoked_key_orders_nothing_and_what_it_ordered_stays
            an_order_of_somebody_who_was_forgotten_names_nobody_and_gives_nothing_more
        );
        $crate::store_contract!(@stage $open, givers:
            a_givers_budget_is_given_exactly_however_many_ask_at_once
            what_is_taken_back_can_be_given_again_and_ends_that_it_was_withheld
            what_was_withheld_is_the_last_and_is_forgotten_with_its_learner
        );
        $crate::store_contract!(@stage $open, terms:
            a_trials_pot_is_given_exactly_and_a_person_has_one_seat
            a_person_has_one_seat_of_a_trial_whichever_batch_it_is_of
            fifty_who_want_a_seat_at_once_take_exactly_the_seats_there_are
            what_a_trial_gave_is_told_by_seat_and_by_lab
            a_resellers_terms_are_kept_as_they_were_agreed
            a_sites_statement_has_what_was_given_there_and_nothing_else
            a_sites_kind_is_the_last_that_was_said_and_stands_on_its_statement
            a_learners_brand_is_their_sites_by_the_list_then_by_what_was_given_then_the_courses
        );
        $crate::store_contract!(@stage $open, recording:
            a_recording_opens_once_and_empty
            chunks_follow_one_another_without_gap_or_overlap
            of_many_who_append_at_once_one_wins
            a_newer_recorder_shuts_out_the_older
            a_closed_recording_takes_nothing_more_and_its_first_end_counts
            a_recorder_that_slept_ends_nothing_that_another_goes_on_with
        );
        $crate::store_contract!(@stage $open, live:
            the_last_outcome_of_each_check_is_kept
            who_looked_at_whom_is_told_newest_first
            when_somebody_last_looked_is_known_of_each_look
            a_lease_has_one_holder_and_its_epoch_grows_with_each_new_one
            of_fifty_who_want_a_lease_one_gets_it
        );
        $crate::store_contract!(@stage $open, operations:
            a_pause_refuses_new_launches_with_its_reason_and_nothing_else
            a_pause_is_audited_and_lifted_once
            a_learner_without_labs_is_told_that_and_not_of_a_pause
            live_sessions_are_counted_by_state
            what_went_wrong_is_counted_by_reason_and_lab_since_a_time
            leases_are_reported_without_a_row_a_recorder
        );
        $crate::store_contract!(@stage $open, grades:
            a_check_that_is_kept_puts_its_grade_in_the_outbox
            a_first_zero_is_a_grade_and_nothing_checked_is_none
            a_grade_that_waits_is_its_clients_and_not_its_names
            when_each_registration_last_worked_is_told_with_the_grades_that_wait
            checks_that_are_kept_at_once_lose_no_point
            a_grade_is_of_all_runs_of_the_lab_in_its_course
            a_later_launch_keeps_its_place_and_brings_the_newest_address
            what_came_of_an_older_grade_does_not_touch_a_newer_one
            a_grade_that_has_to_wait_says_why_until_when
            who_lost_the_outbox_writes_nothing_any_more
            a_line_item_that_is_found_is_everybodys
            a_crowd_of_one_platform_does_not_hide_anothers_grade
            a_learner_has_their_own_grades_and_nobody_elses
            what_a_courses_labs_are_worth_is_told_for_everybody_it_knows_of
            a_lab_is_done_at_the_first_pass_of_the_last_of_its_checks_over_all_runs
        );
        $crate::store_contract!(@stage $open, privacy:
            nobody_starts_before_they_were_told_and_nobody_is_told_twice
            who_could_not_start_anyway_is_told_that_and_no_notice
            a_learner_is_told_who_looked_at_their_own_labs_and_at_the_wall_they_were_on
            what_has_had_its_time_is_due_and_exams_are_kept_longer
            a_removed_recording_is_neither_read_nor_written_and_looked_at_twice
            only_the_newest_sweeper_removes_anything_and_some_rows_at_a_time
        );
        $crate::store_contract!(@stage $open, forgotten:
            people_are_listed_by_what_is_here_of_them
            a_persons_transactions_are_told_page_by_page_and_nobody_elses
            who_is_forgotten_leaves_a_ledger_that_adds_up_and_nothing_else
            nobody_is_forgotten_while_their_lab_runs
            nobody_is_alerted_to_what_a_forgotten_person_spent
            nothing_that_comes_late_brings_back_who_was_forgotten
            of_a_click_and_an_erasure_at_once_one_wins
        );
        $crate::store_contract!(@stage $open, courses:
            a_run_is_as_it_was_last_put
            a_closed_run_takes_no_new_lab_and_keeps_its_replays
            a_course_without_a_run_is_open
            an_extension_is_one_learners
            a_class_is_listed_until_it_is_over_or_taken_off
            a_list_enrolled_twice_is_enrolled_once
            a_list_with_a_fault_enrols_nobody
            a_course_lists_so_many_and_no_more
            of_two_lists_at_once_each_grant_is_issued_once
            who_is_forgotten_is_in_no_course_and_may_come_anew
            what_counts_in_a_course_is_the_last_that_was_said
            a_series_is_the_courses_it_was_last_made_of
        );
        $crate::store_contract!(@stage $open, test_runs:
            a_test_run_holds_nothing_bills_nobody_and_its_seconds_are_told
            of_fifty_test_runs_of_a_person_at_once_one_begins
            a_working_day_of_test_runs_is_enough
            no_grade_and_no_count_comes_of_a_test_run
            nothing_can_be_given_under_the_name_that_stands_for_no_plan
        );
        $crate::store_contract!(@stage $open, history:
            any_history_leaves_the_ledger_right
        );
    };
    (@stage $open:path, $stage:ident: $($promise:ident)+) => {
        mod $stage {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let (store, _alive) = $open().await;
                    $crate::contract::store::$stage::$promise(store).await;
                }
            )+
        }
    };
}
