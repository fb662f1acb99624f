//! The picture of the swarm: its nodes, the paths between them, and where the errors are.

use super::layout::{Layout, Point};
use crate::judge::{Diagnosis, Link, Map, Role, Spot};
use crate::matrix::{Layer, State};
use crate::report::text::{clean, cut, markup};
use checks::{Severity, Subject};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How many broken links are drawn between many nodes.
const BROKEN_LINKS: usize = 250;
/// How many unhealthy nodes are named among many.
const NAMED: usize = 16;
/// From how many links on the healthy ones are drawn faintly.
const CROWDED: usize = 60;

/// The state of a node or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Unknown,
    Healthy,
    Warning,
    Error,
}

impl Health {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Unknown => "open",
            Self::Healthy => "well",
            Self::Warning => "warn",
            Self::Error => "ill",
        }
    }

    fn of(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Healthy,
        }
    }
}

/// The states of everything in the picture.
pub(super) struct Picture<'a> {
    map: &'a Map,
    /// The state of each node.
    pub(super) spots: Vec<Health>,
    /// The paths between two nodes, both directions together.
    links: BTreeMap<(usize, usize), Health>,
    /// What is broken between two nodes, in a word or two.
    labels: BTreeMap<(usize, usize), String>,
}

impl<'a> Picture<'a> {
    pub(super) fn of(diagnosis: &'a Diagnosis) -> Self {
        let map = &diagnosis.map;
        let labels: BTreeMap<&str, usize> =
            map.spots.iter().enumerate().map(|(at, spot)| (spot.label.as_str(), at)).collect();
        let mut spots: Vec<Health> = map.spots.iter().map(standing).collect();
        let mut links = BTreeMap::new();
        let mut broken = BTreeMap::new();
        for link in map.links.iter().filter(|link| link.from != link.to) {
            worsen(&mut links, link.from, link.to, quality(link));
            if let Some(label) = label(link) {
                broken.entry((link.from.min(link.to), link.from.max(link.to))).or_insert(label);
            }
        }
        let mut answers = vec![None; spots.len()];
        for link in &map.links {
            for path in link.paths.iter().filter(|path| path.state != State::Unknown) {
                if let Some(answer) = answers.get_mut(link.to) {
                    *answer = Some(answer.unwrap_or_default() || path.state == State::Proven);
                }
            }
        }
        for (spot, _) in spots.iter_mut().zip(answers).filter(|(_, answer)| *answer == Some(false)) {
            // It was tested, and nothing answered.
            *spot = Health::Error;
        }
        for found in diagnosis.all_findings() {
            let health = Health::of(found.severity);
            let at = |name: &str| labels.get(name).copied();
            match &found.subject {
                Subject::Node(name) => {
                    if let Some(spot) = at(name.as_str()).and_then(|at| spots.get_mut(at)) {
                        *spot = health.max(*spot);
                    }
                }
                Subject::Link { from, to } => {
                    if let (Some(from), Some(to)) = (at(from.as_str()), at(to.as_str())) {
                        worsen(&mut links, from, to, health);
                    }
                }
                Subject::Cluster | Subject::Service(_) | Subject::Network(_) => {}
            }
        }
        // A state of a node without a finding is never shown worse than the verdict.
        let worst =
            diagnosis.all_findings().map(|found| Health::of(found.severity)).max().unwrap_or(Health::Healthy);
        let limit = worst.max(Health::Warning);
        spots.iter_mut().chain(links.values_mut()).for_each(|health| *health = (*health).min(limit));
        Self { map, spots, links, labels: broken }
    }

    /// The unhealthy nodes, each with how many of the paths to and from it are broken.
    pub(super) fn unhealthy(&self) -> impl Iterator<Item = (&'a Spot, String)> {
        let mut ways = vec![(0_usize, 0_usize); self.spots.len()];
        for ((from, to), health) in &self.links {
            for end in [from, to] {
                if let Some((broken, all)) = ways.get_mut(*end) {
                    *broken += usize::from(*health == Health::Error);
                    *all += 1;
                }
            }
        }
        let all = self.map.spots.iter().zip(&self.spots).zip(ways);
        all.filter(|((_, health), _)| **health > Health::Healthy).map(|((spot, _), (broken, all))| {
            let ways = if broken > 0 { format!(" ({broken} of {all} paths broken)") } else { String::new() };
            (spot, ways)
        })
    }

    pub(super) fn draw(&self, out: &mut dyn Write) -> io::Result<()> {
        let layout = Layout::of(self.map.spots.len());
        let managers = self.map.spots.iter().filter(|spot| spot.role <= Role::Manager).count();
        let alt = format!(
            "{} nodes, {managers} of them managers; {} unhealthy; {} of {} paths between nodes broken",
            self.map.spots.len(),
            self.unhealthy().count(),
            self.links.values().filter(|health| **health == Health::Error).count(),
            self.links.len(),
        );
        let (width, height) = (layout.width, layout.height);
        writeln!(out, r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#, markup(&alt))?;
        self.ways(&layout, out)?;
        let spots = || self.map.spots.iter().zip(self.spots.iter().copied()).enumerate();
        for (at, (spot, health)) in spots() {
            match layout.card {
                Some(size) => card(spot, health, layout.point(at), size, out)?,
                None => dot(spot, health, layout.point(at), layout.pitch, out)?,
            }
        }
        if layout.card.is_none() {
            let unhealthy = spots().filter(|(_, (_, health))| *health > Health::Healthy);
            for (at, (spot, _)) in unhealthy.take(NAMED) {
                name(spot, layout.point(at), &layout, out)?;
            }
        }
        writeln!(out, "</svg>")
    }

    fn ways(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let many = layout.card.is_none();
        let mut links = self.links.clone();
        if layout.ring {
            // Pairs that were not tested are shown as such.
            let nodes = self.spots.len();
            for from in 0..nodes {
                for to in from + 1..nodes {
                    links.entry((from, to)).or_insert(Health::Unknown);
                }
            }
        }
        // Broken links are drawn last, on top of the others.
        let mut links: Vec<_> = links.iter().collect();
        links.sort_by_key(|(_, health)| **health);
        let mut broken = 0;
        for ((from, to), health) in links {
            let unhealthy = *health > Health::Healthy;
            // Among many, an unhealthy node stands for the paths to it.
            let is_error = |at: &usize| self.spots.get(*at) == Some(&Health::Error);
            if many && (!unhealthy || is_error(from) || is_error(to) || broken >= BROKEN_LINKS) {
                continue;
            }
            broken += usize::from(unhealthy);
            let (a, b) = (layout.point(*from), layout.point(*to));
            // Bent a little, so that the nodes between do not hide it.
            let bend = if layout.ring { 0.0 } else { 0.12 };
            let middle = Point {
                x: (a.x + b.x) / 2.0 + (b.y - a.y) * bend,
                y: (a.y + b.y) / 2.0 - (b.x - a.x) * bend,
            };
            let faint = match unhealthy {
                false if self.links.len() > CROWDED => " faint",
                true if many => " thin",
                _ => "",
            };
            writeln!(
                out,
                r#"<path class="link {}{faint}" d="M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}"/>"#,
                health.class(),
                a.x,
                a.y,
                middle.x,
                middle.y,
                b.x,
                b.y
            )?;
            if unhealthy && !many {
                // The curve passes half way between the chord and its handle.
                let (x, y) = ((a.x + b.x) / 4.0 + middle.x / 2.0, (a.y + b.y) / 4.0 + middle.y / 2.0);
                let (left, right, top, bottom) = (x - 7.0, x + 7.0, y - 7.0, y + 7.0);
                writeln!(
                    out,
                    r#"<path class="cross" d="M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}"/>"#
                )?;
                if let Some(label) = self.labels.get(&(*from, *to)) {
                    let text = markup(label);
                    let y = y + 24.0;
                    for class in ["edge halo", "edge"] {
                        writeln!(out, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is broken between two nodes: a dead engine, a dead host, or the lowest layer of the data plane that is blocked.
fn label(link: &Link) -> Option<String> {
    let state = |layer: Layer| link.paths.iter().find(|path| path.layer == layer).map(|path| path.state);
    let broken = |layer: &Layer| state(*layer) == Some(State::Refuted);
    let refused = link.paths.iter().any(|path| path.layer == Layer::GossipTcp && path.says == "refused");
    if broken(&Layer::GossipTcp) && broken(&Layer::Icmp) {
        return Some("no answer".to_owned());
    }
    if refused && state(Layer::Icmp) == Some(State::Proven) {
        return Some("engine down".to_owned());
    }
    let order = [
        Layer::Manager,
        Layer::GossipTcp,
        Layer::GossipUdp,
        Layer::Vxlan,
        Layer::Mtu,
        Layer::Esp,
        Layer::Clock,
        Layer::Icmp,
    ];
    order.iter().find(|layer| broken(layer)).map(|layer| format!("{layer} ✗"))
}

fn worsen(links: &mut BTreeMap<(usize, usize), Health>, from: usize, to: usize, health: Health) {
    let entry = links.entry((from.min(to), from.max(to))).or_insert(Health::Unknown);
    *entry = health.max(*entry);
}

/// The state of a node by the node list.
fn standing(spot: &Spot) -> Health {
    match (spot.state.as_deref(), spot.availability.as_deref()) {
        (Some("down" | "disconnected"), _) => Health::Error,
        (Some("ready"), Some(_)) => Health::Warning,
        (Some("ready"), None) => Health::Healthy,
        (None, _) if spot.looked_at => Health::Healthy,
        _ => Health::Unknown,
    }
}

fn quality(link: &Link) -> Health {
    match link.state() {
        State::Refuted => Health::Error,
        State::Proven => Health::Healthy,
        State::Unknown | State::None => Health::Unknown,
    }
}

/// The role of a node, and its state unless it is ready.
fn role(spot: &Spot) -> String {
    let role = match spot.role {
        Role::Leader => "leader",
        Role::Manager => "manager",
        Role::Worker => "worker",
        Role::Unknown => "node",
    };
    let state = spot.state.as_deref().filter(|state| *state != "ready");
    match state.or(spot.availability.as_deref()) {
        Some(state) => format!("{role}, {state}"),
        None => role.to_owned(),
    }
}

fn title(spot: &Spot) -> String {
    let addr = spot.addr.as_ref().filter(|addr| **addr != spot.label);
    let addr = addr.map(|addr| format!(", {addr}")).unwrap_or_default();
    markup(&format!("{}{addr}: {}", spot.label, role(spot)))
}

fn classes(spot: &Spot, health: Health) -> String {
    let manager = if spot.role <= Role::Manager { " manager" } else { "" };
    format!("{}{manager}", health.class())
}

fn card(spot: &Spot, health: Health, at: Point, size: Point, out: &mut dyn Write) -> io::Result<()> {
    // Managers are square, all others are round.
    let round = if spot.role <= Role::Manager { 6.0 } else { size.y / 2.0 };
    let symbol = match health {
        Health::Error => "✗ ",
        Health::Warning => "! ",
        Health::Healthy | Health::Unknown => "",
    };
    let star = if spot.role == Role::Leader { "★ " } else { "" };
    let name = clean(&spot.label, false);
    let name = markup(&cut(&name, if size.x > 120.0 { 13 } else { 11 }, false));
    let (x, y) = (at.x - size.x / 2.0, at.y - size.y / 2.0);
    writeln!(
        out,
        r#"<g class="spot {}"><title>{}</title>
<rect class="shape" x="{x:.1}" y="{y:.1}" width="{}" height="{}" rx="{round}"/>
<text class="name" x="{:.1}" y="{:.1}">{name}</text>
<text class="role" x="{:.1}" y="{:.1}">{symbol}{star}{}</text></g>"#,
        classes(spot, health),
        title(spot),
        size.x,
        size.y,
        at.x,
        at.y - 3.0,
        at.x,
        at.y + 15.0,
        markup(&role(spot)),
    )
}

fn dot(spot: &Spot, health: Health, at: Point, pitch: f64, out: &mut dyn Write) -> io::Result<()> {
    let radius = pitch * if health > Health::Healthy { 0.46 } else { 0.32 };
    let corner = if spot.role <= Role::Manager { 0.0 } else { radius };
    writeln!(
        out,
        r#"<g class="dot {}"><title>{}</title><rect class="shape" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="{corner:.1}"/></g>"#,
        classes(spot, health),
        title(spot),
        at.x - radius,
        at.y - radius,
        radius * 2.0,
        radius * 2.0,
    )
}

/// The name of an unhealthy node, above it or, in the first row, below it.
fn name(spot: &Spot, at: Point, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let above = at.y > layout.pitch;
    let y = if above { at.y - layout.pitch * 0.6 } else { at.y + layout.pitch * 1.2 };
    // At the edges a centred name would be cut off.
    let anchor = match at.x / layout.width {
        ..0.15 => "start",
        0.85.. => "end",
        _ => "middle",
    };
    let text = clean(&spot.label, false);
    let text = markup(&cut(&text, 20, false));
    // Written twice, so that what is behind does not run into the letters.
    ["tag halo", "tag"].iter().try_for_each(|class| {
        writeln!(
            out,
            r#"<text class="{class}" x="{:.1}" y="{y:.1}" style="text-anchor: {anchor}">{text}</text>"#,
            at.x
        )
    })
}
