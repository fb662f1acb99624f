# What happens in the guest: a lab, some services, some faults, and a report of the doctor after each.
lab=/payload/xtask

say() { echo "$*"; }
on() { at=$1; shift; "$lab" lab exec "$at" -- "$@"; }

# What was there when something failed, for the console.
trap '[ $? -eq 0 ] || on node1 sh -c "docker node ls; docker service ps --no-trunc \$(docker service ls -q); tail /var/log/messages" >&2' EXIT

# One line for each node: the name of the scenario, the node, the exit code, the report. With a check's id, or several
# as `ID|ID`, not before one of them found something, or some tries: a busy machine's tasks answer too late for the
# doctor to be sure.
report() {
    for node in node1 node2; do
        for try in 1 2 3 4 5 6; do
            code=0
            on "$node" swarm-doctor run --timeout 60s -o json >/tmp/report.json || code=$?
            if [ -z "${2-}" ] || grep -Eq "\"check\": \"($2)\"" /tmp/report.json; then break; fi
            sleep 5
        done
        # `echo` would undo the escapes in it.
        printf 'report %s %s %s %s\n' "$1" "$node" "$code" "$(tr -d '\n' </tmp/report.json)"
    done
}

# Services that answer with the name of their task.
service() {
    name=$1; listens=$2; shift 2
    on node1 docker service create -d --no-resolve-image --name "$name" --network app "$@" lab/busybox:1 \
        sh -c "hostname >/var/www/index.html; exec httpd -f -p $listens -h /var/www" >/dev/null
}

# Until as many tasks run as are wanted, and each node has heard of them: what it has not heard of is not in its
# balancer. Words are `SERVICE COUNT`.
running() {
    for word; do
        on node1 sh -c 'until docker service ls --format "{{.Name}} {{.Replicas}}" | grep -qx "$1 $2/$2"; do sleep 1; done' sh $word
        for node in node1 node2; do
            on "$node" sh -c 'until docker network inspect -v app --format "{{range \$name, \$it := .Services}}{{\$name}} {{len \$it.Tasks}}
{{end}}" | grep -qx "$1 $2"; do sleep 1; done' sh $word
        done
    done
}

# How many tasks of web answer, asked six times each: at its virtual address and at its tasks' own from within a
# task of the node, and at the published port from the node.
cat >/tmp/count.sh <<'END'
container=$(docker ps -q -f name=web. | head -n 1)
pid=$(docker inspect -f '{{.State.Pid}}' "$container")
resolve() { docker exec "$container" nslookup "$1" 127.0.0.11 | awk '/^Address/ && $NF !~ /127.0.0.11/ { print $NF }'; }
count() { for try in 1 2 3 4 5 6; do "$@" || true; done | sort -u | grep -c . || true; }
inside() { nsenter --net="/proc/$pid/ns/net" curl --silent --max-time 3 "http://$1:8080"; }
outside() { curl --silent --max-time 3 "http://$1:8080"; }
own=0
for task in $(resolve tasks.web); do own=$((own + $(count inside "$task"))); done
echo "virtual address $(count inside "$(resolve web)"), tasks' addresses $own," \
    "published port $(count outside 192.0.2.1) and $(count outside 192.0.2.2)"
END
traffic() {
    for node in node1 node2; do
        for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
            counted=$(on "$node" sh -c "$(cat /tmp/count.sh)")
            [ "$counted" != "$1" ] || break
            sleep 5
        done
        say "tasks of web that answer on $node: $counted"
        [ "$counted" = "$1" ]
    done
}

say "guest is up: $(uname -r)"
"$lab" lab up --managers 0 --workers 0 --nodes 2 >&2
for node in node1 node2; do
    on "$node" sh -c 'cat >/usr/local/bin/swarm-doctor; chmod 755 /usr/local/bin/swarm-doctor' </payload/swarm-doctor
done
say "two engines answer, ip_vs is $(grep -q '^ip_vs ' /proc/modules || echo not) loaded"
# The module is at hand, or not there at all: nothing asked for it yet.
report before-swarm

# A hardened machine: the engine may load no module, and the kernel is not to load this one by itself.
if modprobe -n ip_vs 2>/dev/null; then
    echo 'blacklist ip_vs' >/etc/modprobe.d/ip_vs.conf
    for node in node1 node2; do
        on "$node" sh -c 'cat >/usr/local/bin/dockerd; chmod 755 /usr/local/bin/dockerd; /etc/init.d/docker restart' <<'END'
#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec setpriv --bounding-set -sys_module dockerd "$@"
END
    done
fi

on node1 docker swarm init --advertise-addr 192.0.2.1 >/dev/null
on node2 docker swarm join --token "$(on node1 docker swarm join-token -q worker)" --advertise-addr 192.0.2.2 \
    192.0.2.1:2377 >/dev/null
say "a swarm of two"
on node1 docker network create -d overlay app >/dev/null
service web 8080 --mode global --publish 8080:8080
service back 8080 --replicas 2 --hostname '{{.Service.Name}}-{{.Task.Slot}}'
service single 8080 --hostname own-name
service direct 8080 --mode global --endpoint-mode dnsrr
running 'web 2' 'back 2' 'single 1' 'direct 2'
if modprobe -n ip_vs 2>/dev/null; then
    say "four services run on two nodes, and ip_vs is $(grep -q '^ip_vs ' /proc/modules || echo not) loaded"
    report asleep network/vip-unreachable
    on node1 swarm-doctor fix host/ipvs-missing --level disruptive --yes >&2 || true
    say "ip_vs is $(grep -q '^ip_vs ' /proc/modules || echo not) loaded, and for every start: $(on node1 cat /etc/modules-load.d/ip_vs.conf)"
    # The two have one kernel, and what it has an engine asks once.
    on node2 /etc/init.d/docker restart
    running 'web 2' 'back 2' 'single 1' 'direct 2'
fi
balancer=$(grep -q '^ip_vs ' /proc/modules && echo yes || echo no)
say "four services run on two nodes, with a balancer: $balancer"
if [ "$balancer" = yes ]; then
    silent=
    answering="virtual address 2, tasks' addresses 2, published port 2 and 2"
else
    silent=network/vip-unreachable
    answering="virtual address 0, tasks' addresses 2, published port 0 and 0"
fi
report idle $silent
traffic "$answering"
report used $silent
[ "$balancer" = yes ] || exit 0

# An encrypted overlay travels as ESP.
on node1 docker network create -d overlay --opt encrypted sealed >/dev/null
on node1 docker service create -d --no-resolve-image --name safe --network sealed --mode global lab/busybox:1 \
    sleep 1000000 >/dev/null
for node in node1 node2; do
    # Both tasks answer over it, and what is counted is not what the engine dropped for want of a key.
    on "$node" sh -c 'iptables -I INPUT -p esp
        until id=$(docker ps -q -f name=safe. | grep .); do sleep 1; done
        until both=$(docker exec "$id" nslookup tasks.safe 127.0.0.11 | grep -c "^Address.*10[.]") && [ "$both" = 2 ]; do sleep 1; done
        for addr in $(docker exec "$id" nslookup tasks.safe 127.0.0.11 | awk "/^Address.* 10[.]/ { print \$NF }"); do
            until docker exec "$id" ping -c 1 -W 2 "$addr" >/dev/null; do sleep 1; done
        done'
done
for node in node1 node2; do
    say "ESP that came to $node: $(on "$node" sh -c 'iptables -vnxL INPUT 1 | awk "{ print \$1 }"; iptables -D INPUT -p esp')"
done
report sealed
on node2 iptables -I INPUT -p esp -j DROP
report esp-in 'host/firewall-drops-swarm|network/esp-blocked'
on node2 sh -c 'iptables -D INPUT -p esp -j DROP; nft "add table inet site; add chain inet site out { type filter hook output priority 0; }; add rule inet site out ip protocol esp drop"'
report esp-out 'host/firewall-drops-swarm|network/esp-blocked'
on node2 nft delete table inet site
report sealed-again
on node1 docker service rm safe >/dev/null
on node1 sh -c 'until docker network rm sealed >/dev/null 2>&1; do sleep 1; done'

# What tells a balancer that is broken from one whose services are.
service pinned 8080 --replicas 2 --hostname pinned
service deaf 127.0.0.1:8080 --publish 8081:8080 --constraint node.hostname==node1
running 'pinned 2' 'deaf 1'
report mistakes
on node1 docker service rm pinned deaf >/dev/null
on node2 sh -c 'for name in /run/docker/netns/lb_*; do nsenter --net="$name" ipvsadm --clear; done'
report emptied network/vip-unreachable

# What the doctor advises.
on node2 sh -c '
    pid=$(cat /run/docker.pid)
    words=$(tr "\0" " " </proc/$pid/cmdline)
    kill "$pid"
    while [ -e /run/docker.pid ]; do sleep 1; done
    (setsid $words 2>&1 | logger --tag dockerd) >/dev/null 2>&1 &
    until docker ps 2>/dev/null | grep -q " web[.]"; do sleep 1; done'
say "node2's engine runs again, and a task of web on it"
running 'web 2' 'back 2' 'single 1' 'direct 2'
traffic "$answering"
report resolved
