//! From where on something is said, where that is for the user to choose.

/// From where on something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// `host/disk-full` warns once less than this many hundredths of the file system are free.
    pub disk_free_percent: Option<u8>,
}

impl Thresholds {
    /// Sets the threshold of a check.
    pub fn set(&mut self, check: &str, value: &str) -> Result<(), String> {
        if check != "host/disk-full" {
            return Err(format!("{check:?} has no threshold; host/disk-full has one, such as 10%"));
        }
        let percent = value.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
        match percent.filter(|percent| (1..100).contains(percent)) {
            Some(percent) => {
                self.disk_free_percent = Some(percent);
                Ok(())
            }
            None => Err(format!("{value:?} is no part of a disk, such as 10%")),
        }
    }
}
