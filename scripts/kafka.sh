#!/usr/bin/env bash
# Apache Kafka, for the tests that write to it and read from it: its jars come from Maven's registry once and are kept in a
# cache folder (45 MB). It needs Java 17 or newer, and Maven for the first time.
#
#   scripts/kafka.sh           prints the folder of the jars, after fetching them where they are missing
#   scripts/kafka.sh --cached  prints it, or ends with 1 where they have not been fetched
#   scripts/kafka.sh run DIR PORT CONTROLLER_PORT [FILE] [ARGUMENT...]
#       runs one broker in the foreground, which keeps its data in DIR and listens on 127.0.0.1:PORT, and takes further
#       properties from FILE (or -); ARGUMENTs go to the tool that formats DIR the first time. The process becomes the
#       broker's, so whoever started it ends it with a signal. The log is DIR/server.log.
#
# Where something is missing it ends with 1 and says what.
set -euo pipefail

version=4.1.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tickwire/kafka-$version
jars=$cache/jars

say() { printf 'kafka: %s\n' "$1" >&2; }
fail() {
    say "$1"
    exit 1
}

fetch() {
    [ -d "$jars" ] && return
    command -v mvn >/dev/null 2>&1 || fail "mvn is missing, so the broker cannot be fetched: install Maven"
    command -v flock >/dev/null 2>&1 || fail "flock is missing: install util-linux"
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    [ -d "$jars" ] && return
    local work
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064 # the folder is known now
    trap "rm -rf '$work'" EXIT
    cat >"$work/pom.xml" <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tickwire</groupId><artifactId>kafka-of-the-tests</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <!-- Without it the log is mute. -->
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
EOF
    say "fetching the broker"
    mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/jars" >"$work/log" 2>&1 </dev/null || {
        tail -n 30 "$work/log" >&2
        fail "the broker cannot be fetched"
    }
    mv "$work/jars" "$jars"
}

run() {
    local dir=$1 port=$2 controller=$3 further=${4:--}
    shift "$(($# < 4 ? $# : 4))"
    [ -d "$jars" ] || fail "the broker has not been fetched: scripts/kafka.sh does"
    mkdir -p "$dir"
    if [ ! -f "$dir/server.properties" ]; then
        cat >"$dir/log4j2.properties" <<EOF
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = $dir/server.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{1} %m%n
EOF
        cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
EOF
        # Of a property that stands twice the later one holds.
        if [ "$further" != - ]; then cat "$further" >>"$dir/server.properties"; fi
        local standalone=(--standalone)
        if grep -q '^controller.quorum.voters=' "$dir/server.properties"; then standalone=(); fi
        java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*" kafka.tools.StorageTool format \
            -t "${TICKWIRE_KAFKA_CLUSTER:-dGlja3dpcmUtdGVzdHMtMQ}" -c "$dir/server.properties" "${standalone[@]}" "$@" \
            >"$dir/format.log" 2>&1 </dev/null || {
            cat "$dir/format.log" >&2
            fail "the broker's folder cannot be formatted"
        }
    fi
    exec java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$dir/log4j2.properties" \
        -cp "$jars/*" kafka.Kafka "$dir/server.properties" >"$dir/out.log" 2>&1 </dev/null
}

command -v java >/dev/null 2>&1 || fail "java is missing, so there is no broker: install Java 17 or newer"
case ${1:-} in
--cached) [ -d "$jars" ] || exit 1 ;;
run)
    shift
    run "$@"
    ;;
'') fetch ;;
*) fail "unknown argument: $1" ;;
esac
printf '%s\n' "$jars"
