//! The outcomes as a table.

use comfy_table::{ContentArrangement, Table, presets};

use crate::run::{Outcome, Verdict};

/// One row for each outcome.
#[must_use]
pub fn table(outcomes: &[Outcome], width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_width(width);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["fault", "from", "expected", "rank", "others", "fixed", "s", "verdict"]);
    for outcome in outcomes {
        table.add_row([
            outcome.fault.clone(),
            outcome.from.clone(),
            outcome.expected.clone(),
            outcome.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
            outcome.others.join("\n"),
            outcome.fixed.as_ref().map(ToString::to_string).unwrap_or_default(),
            format!("{:.0}", outcome.seconds),
            verdict(&outcome.verdict),
        ]);
    }
    table.to_string()
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Named => "named".to_owned(),
        Verdict::Missed(why) => format!("MISSED: {why}"),
        Verdict::FalseAlarm => "FALSE ALARM".to_owned(),
        Verdict::Owed(why) => format!("owed: {why}"),
        Verdict::NotFixed(why) => format!("NOT FIXED: {why}"),
        Verdict::NotResolved(why) => format!("NOT RESOLVED: {why}"),
        Verdict::Broken(why) => format!("BROKEN: {why}"),
        Verdict::Skipped => "not on this engine".to_owned(),
    }
}
