//! Where the nodes stand in the picture.

use std::f64::consts::TAU;

/// How wide the picture is; it is shrunk to fit a phone, where its letters still have to be read.
const WIDTH: f64 = 520.0;
/// Up to how many nodes stand in a ring.
const RING: usize = 8;
/// Up to how many nodes have their names beside them.
const NAMED: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Places for so many nodes.
pub(super) struct Layout {
    number: usize,
    columns: usize,
    pub(super) ring: bool,
    /// How far apart they stand, where they stand in rows.
    pub(super) pitch: f64,
    row: f64,
    /// How large a node is that carries its name; without, it is a dot.
    pub(super) card: Option<Point>,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Layout {
    pub(super) fn of(number: usize) -> Self {
        let rows = |columns: usize| number.div_ceil(columns) as f64;
        if number <= RING {
            // Of three, two stand at the same height, and none below.
            let height = match number {
                ..3 => 120.0,
                3 => 310.0,
                _ => 390.0,
            };
            let card = Some(Point { x: 132.0, y: 50.0 });
            return Self { number, columns: 1, ring: true, pitch: 0.0, row: 0.0, card, width: WIDTH, height };
        }
        if number <= NAMED {
            let (columns, row) = (4, 84.0);
            let card = Some(Point { x: 112.0, y: 48.0 });
            let (pitch, height) = (WIDTH / columns as f64, rows(columns) * row);
            return Self { number, columns, ring: false, pitch, row, card, width: WIDTH, height };
        }
        let columns = ((number as f64 * 1.4).sqrt().ceil() as usize).clamp(10, 32);
        let pitch = WIDTH / columns as f64;
        let height = (rows(columns) * pitch).ceil();
        Self { number, columns, ring: false, pitch, row: pitch, card: None, width: WIDTH, height }
    }

    pub(super) fn point(&self, at: usize) -> Point {
        let middle = self.width / 2.0;
        let half = if self.number == 3 { 195.0 } else { self.height / 2.0 };
        if !self.ring {
            let (column, row) = (at % self.columns, at / self.columns);
            return Point { x: (column as f64 + 0.5) * self.pitch, y: (row as f64 + 0.5) * self.row };
        }
        let (wide, high) = match self.number {
            1 => (0.0, 0.0),
            2 => (165.0, 0.0),
            _ => (190.0, 155.0),
        };
        // The first stands at the top, and of two the first at the left.
        let start = if self.number == 2 { 0.5 } else { 0.75 };
        let angle = (at as f64 / self.number.max(1) as f64 + start) * TAU;
        Point { x: middle + wide * angle.cos(), y: half + high * angle.sin() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_in_the_picture_and_none_on_another() {
        for number in [1, 2, 3, 5, 8, 9, 40, 41, 100, 500, 2000] {
            let layout = Layout::of(number);
            let size = layout.card.unwrap_or(Point { x: layout.pitch * 0.92, y: layout.pitch * 0.92 });
            let points: Vec<Point> = (0..number).map(|at| layout.point(at)).collect();
            for (at, one) in points.iter().enumerate() {
                assert!(
                    one.x - size.x / 2.0 >= -1.0 && one.x + size.x / 2.0 <= layout.width + 1.0,
                    "{number}: {one:?}"
                );
                assert!(
                    one.y - size.y / 2.0 >= -1.0 && one.y + size.y / 2.0 <= layout.height + 1.0,
                    "{number}: {one:?}"
                );
                let clear = |other: &Point| {
                    (one.x - other.x).abs() >= size.x - 0.1 || (one.y - other.y).abs() >= size.y - 0.1
                };
                assert!(points.iter().skip(at + 1).all(clear), "{number}: {one:?}");
            }
        }
    }
}
