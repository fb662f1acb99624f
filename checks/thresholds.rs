//! Thresholds that the user can set.

/// Thresholds that the user can set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// `host/disk-full` warns once less than this many hundredths of the file system are free.
    pub disk_free_percent: Option<u8>,
    /// `network/packet-loss` reports a path that loses at least this part of the echoes, in percent.
    pub packet_loss_percent: Option<u8>,
    /// `network/addresses-low` reports a network of which at least this part of the addresses is needed, in percent.
    pub addresses_used_percent: Option<u8>,
}

impl Thresholds {
    /// Sets the threshold of a check.
    pub fn set(&mut self, check: &str, value: &str) -> Result<(), String> {
        let threshold = match check {
            "host/disk-full" => &mut self.disk_free_percent,
            "network/packet-loss" => &mut self.packet_loss_percent,
            "network/addresses-low" => &mut self.addresses_used_percent,
            _ => {
                let known = "host/disk-full, network/packet-loss and network/addresses-low have one";
                return Err(format!("{check:?} has no threshold; {known}, such as 10%"));
            }
        };
        let percent = value.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
        match percent.filter(|percent| (1..100).contains(percent)) {
            Some(percent) => {
                *threshold = Some(percent);
                Ok(())
            }
            None => Err(format!("{value:?} is not a percentage, such as 10%")),
        }
    }
}
