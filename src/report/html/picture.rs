//! The picture of the swarm: its nodes, the paths between them, and where the errors are.

use super::layout::{Layout, Point};
use crate::judge::{Diagnosis, Link, Map, Role, Spot};
use crate::matrix::{Layer, State};
use crate::report::text::{clean, cut, markup};
use checks::{Severity, Subject};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How many broken links are drawn between many nodes.
const ILL_LINKS: usize = 250;
/// How many unhealthy nodes are named among many.
const NAMED: usize = 16;
/// From how many links on the healthy ones are drawn faintly.
const CROWDED: usize = 60;

/// How a node or a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Open,
    Well,
    Warn,
    Ill,
}

impl Health {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Well => "well",
            Self::Warn => "warn",
            Self::Ill => "ill",
        }
    }

    fn of(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Ill,
            Severity::Warning => Self::Warn,
            Severity::Info => Self::Well,
        }
    }
}

/// How everything in the picture is.
pub(super) struct Picture<'a> {
    map: &'a Map,
    /// How each node is.
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
            // It was tried, and nothing at all came back.
            *spot = Health::Ill;
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
            diagnosis.all_findings().map(|found| Health::of(found.severity)).max().unwrap_or(Health::Well);
        let limit = worst.max(Health::Warn);
        spots.iter_mut().chain(links.values_mut()).for_each(|health| *health = (*health).min(limit));
        Self { map, spots, links, labels: broken }
    }

    /// The unhealthy nodes, each with how many of the paths to and from it are broken.
    pub(super) fn unhealthy(&self) -> impl Iterator<Item = (&'a Spot, String)> {
        let mut ways = vec![(0_usize, 0_usize); self.spots.len()];
        for ((from, to), health) in &self.links {
            for end in [from, to] {
                if let Some((ill, all)) = ways.get_mut(*end) {
                    *ill += usize::from(*health == Health::Ill);
                    *all += 1;
                }
            }
        }
        let all = self.map.spots.iter().zip(&self.spots).zip(ways);
        all.filter(|((_, health), _)| **health > Health::Well).map(|((spot, _), (ill, all))| {
            let ways = if ill > 0 { format!(" ({ill} of {all} paths broken)") } else { String::new() };
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
            self.links.values().filter(|health| **health == Health::Ill).count(),
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
            let sick = spots().filter(|(_, (_, health))| *health > Health::Well);
            for (at, (spot, _)) in sick.take(NAMED) {
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
                    links.entry((from, to)).or_insert(Health::Open);
                }
            }
        }
        // Broken links are drawn last, on top of the others.
        let mut links: Vec<_> = links.iter().collect();
        links.sort_by_key(|(_, health)| **health);
        let mut ill = 0;
        for ((from, to), health) in links {
            let sick = *health > Health::Well;
            // Among many, an unhealthy node stands for the paths to it.
            let told = |at: &usize| self.spots.get(*at) == Some(&Health::Ill);
            if many && (!sick || told(from) || told(to) || ill >= ILL_LINKS) {
                continue;
            }
            ill += usize::from(sick);
            let (a, b) = (layout.point(*from), layout.point(*to));
            // Bent a little, so that it does not hide behind the nodes between.
            let bend = if layout.ring { 0.0 } else { 0.12 };
            let middle = Point {
                x: (a.x + b.x) / 2.0 + (b.y - a.y) * bend,
                y: (a.y + b.y) / 2.0 - (b.x - a.x) * bend,
            };
            let faint = match sick {
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
            if sick && !many {
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
    let entry = links.entry((from.min(to), from.max(to))).or_insert(Health::Open);
    *entry = health.max(*entry);
}

/// How a node is by what the managers say.
fn standing(spot: &Spot) -> Health {
    match (spot.state.as_deref(), spot.availability.as_deref()) {
        (Some("down" | "disconnected"), _) => Health::Ill,
        (Some("ready"), Some(_)) => Health::Warn,
        (Some("ready"), None) => Health::Well,
        (None, _) if spot.looked_at => Health::Well,
        _ => Health::Open,
    }
}

fn quality(link: &Link) -> Health {
    match link.state() {
        State::Refuted => Health::Ill,
        State::Proven => Health::Well,
        State::Unknown | State::None => Health::Open,
    }
}

/// What a node is, in a word or two.
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
    // Managers have corners, and all others are round.
    let round = if spot.role <= Role::Manager { 6.0 } else { size.y / 2.0 };
    let symbol = match health {
        Health::Ill => "✗ ",
        Health::Warn => "! ",
        Health::Well | Health::Open => "",
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
    let radius = pitch * if health > Health::Well { 0.46 } else { 0.32 };
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

/// The name of a node that is not well, above it or, in the first row, beneath it.
fn name(spot: &Spot, at: Point, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let above = at.y > layout.pitch;
    let y = if above { at.y - layout.pitch * 0.6 } else { at.y + layout.pitch * 1.2 };
    // At the edges a name in the middle would be cut off.
    let anchor = match at.x / layout.width {
        ..0.15 => "start",
        0.85.. => "end",
        _ => "middle",
    };
    let text = clean(&spot.label, false);
    let text = markup(&cut(&text, 20, false));
    // Written twice, so that what lies beneath does not run into the letters.
    ["tag halo", "tag"].iter().try_for_each(|class| {
        writeln!(
            out,
            r#"<text class="{class}" x="{:.1}" y="{y:.1}" style="text-anchor: {anchor}">{text}</text>"#,
            at.x
        )
    })
}
