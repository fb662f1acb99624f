//! resolv.conf(5).

use crate::container::ResolvConf;

pub(super) fn resolv_conf(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let key = words.next();
        let values = words.map(str::to_owned);
        match key {
            Some("nameserver") => conf.servers.extend(values.take(1)),
            // The last search or domain line wins.
            Some("search" | "domain") => conf.search = values.collect(),
            Some("options") => conf.options.extend(values),
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::resolv_conf;

    #[test]
    fn takes_the_last_search_list() {
        let conf = resolv_conf(
            "nameserver 127.0.0.11\nsearch a\nsearch b c\noptions ndots:0\n#nameserver 9.9.9.9\n",
        );
        assert_eq!(conf.servers, ["127.0.0.11"]);
        assert_eq!(conf.search, ["b", "c"]);
        assert_eq!(conf.options, ["ndots:0"]);
    }
}
