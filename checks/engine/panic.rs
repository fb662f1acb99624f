//! Where in the engine a Go panic happened.

use facts::log::{Line, Program};

/// The most lines after a panic in which its goroutine is looked for.
const MOST: usize = 40;

/// The package in which a panic happened, by the first frame of its goroutine that is not of the Go runtime.
pub(super) fn package<'a>(lines: &'a [Line], panic: &Line) -> Option<&'a str> {
    let at = lines.iter().position(|line| line.number == panic.number && line.file == panic.file)?;
    let after = lines.get(at + 1..)?.iter().take(MOST).filter(|line| line.program == Program::Engine);
    let mut frames = after.skip_while(|line| !line.message.starts_with("goroutine ")).skip(1);
    frames.find_map(|line| package_of_frame(&line.message))
}

/// The package of a frame such as `github.com/docker/docker/vendor/github.com/docker/swarmkit/agent.(*worker).Init(0xc0)`.
fn package_of_frame(frame: &str) -> Option<&str> {
    let runtime = ["runtime.", "panic(", "created by ", "\t", " ", "github.com/sirupsen/logrus"];
    if runtime.iter().any(|start| frame.starts_with(start)) {
        return None;
    }
    let path = frame.rsplit_once("/vendor/").map_or(frame, |(_, path)| path);
    let folder = path.rfind('/').map_or(0, |slash| slash + 1);
    let end = folder + path.get(folder..)?.find('.')?;
    path.get(..end).filter(|package| !package.is_empty())
}

#[cfg(test)]
mod tests {
    use super::package_of_frame;

    #[test]
    fn reads_the_package_of_a_frame() {
        let of = package_of_frame;
        assert_eq!(
            of(
                "github.com/docker/docker/vendor/github.com/docker/swarmkit/manager/allocator/cnmallocator.(*cnmNetworkAllocator).IsAttachmentAllocated(...)"
            ),
            Some("github.com/docker/swarmkit/manager/allocator/cnmallocator")
        );
        assert_eq!(
            of("github.com/moby/moby/v2/daemon/libnetwork.(*Endpoint).sbLeave(0xc0)"),
            Some("github.com/moby/moby/v2/daemon/libnetwork")
        );
        assert_eq!(of("main.main()"), Some("main"));
        assert_eq!(of("panic({0x1, 0x2})"), None);
        assert_eq!(of("runtime.gopanic(0x1)"), None);
        assert_eq!(of("\t/go/src/x.go:1 +0x1"), None);
    }
}
