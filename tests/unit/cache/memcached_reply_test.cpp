// The meta protocol, as memcached 1.6.18 was seen to speak it, and with one that runs here.
#include "cache/memcached_reply.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cache/memcached_command.h"

namespace slab_cache::cache {
namespace {

using Next = MemcachedNext;
using Status = MemcachedStatus;

constexpr uint64_t kMaxValue = 1000;

// One reply, whose bytes are an exact block of the heap.
struct Reading {
    std::vector<char> bytes;
    MemcachedReply reply;
    MemcachedRead read;

    explicit Reading(const std::string& text) : bytes(text.begin(), text.end()) {
        read = read_memcached({bytes.data(), bytes.size()}, kMaxValue, &reply);
    }
};

MemcachedReply reply_of(const std::string& text) {
    Reading r(text);
    EXPECT_EQ(r.read.next, Next::kReply) << text;
    EXPECT_EQ(r.read.bytes, text.size()) << text;
    r.reply.value = r.reply.text = {};  // they die with it
    return r.reply;
}

Next next_of(const std::string& text) { return Reading(text).read.next; }

TEST(MemcachedReply, says_what_became_of_a_command) {
    EXPECT_EQ(reply_of("HD\r\n").status, Status::kDone);
    EXPECT_EQ(reply_of("EN\r\n").status, Status::kNone);
    EXPECT_EQ(reply_of("NF\r\n").status, Status::kNone);
    EXPECT_EQ(reply_of("NS\r\n").status, Status::kNotStored);
    EXPECT_EQ(reply_of("EX\r\n").status, Status::kChanged);
    EXPECT_EQ(reply_of("MN\r\n").status, Status::kNoop);
}

TEST(MemcachedReply, has_a_value_and_what_is_known_of_it) {
    const Reading r("VA 3 t30 c5 f17 s3 h1 kk O77\r\na\r\n\r\n");
    ASSERT_EQ(r.read.next, Next::kReply);
    EXPECT_EQ(r.reply.status, Status::kValue);
    EXPECT_EQ(r.reply.value, "a\r\n");
    EXPECT_EQ(r.reply.ttl_sec, 30);
    EXPECT_EQ(r.reply.cas, 5u);
    EXPECT_EQ(r.reply.client_flags, 17u);
    EXPECT_FALSE(r.reply.won || r.reply.is_taken || r.reply.is_stale);
    EXPECT_EQ(reply_of("VA 0 t-1\r\n\r\n").ttl_sec, -1);
}

TEST(MemcachedReply, says_who_is_to_fill_what_is_not_there) {
    const MemcachedReply winner = reply_of("VA 0 t-1 f0 c3 W\r\n\r\n");
    EXPECT_TRUE(winner.won && !winner.is_taken);
    const MemcachedReply other = reply_of("VA 0 t5 f0 c3 Z\r\n\r\n");
    EXPECT_TRUE(other.is_taken && !other.won);
    const MemcachedReply stale = reply_of("VA 2 c5 t29 Z X\r\nab\r\n");
    EXPECT_TRUE(stale.is_taken && stale.is_stale);
}

TEST(MemcachedReply, may_be_an_error) {
    const Reading large("SERVER_ERROR object too large for cache\r\nMN\r\n");
    EXPECT_EQ(large.read.next, Next::kReply);
    EXPECT_EQ(large.read.bytes, 41u);
    EXPECT_EQ(large.reply.status, Status::kServerError);
    EXPECT_EQ(large.reply.text, "object too large for cache");
    EXPECT_EQ(reply_of("CLIENT_ERROR bad data chunk\r\n").status, Status::kClientError);
    EXPECT_EQ(reply_of("ERROR\r\n").status, Status::kClientError);
    EXPECT_TRUE(reply_of("ERROR\r\n").is_error());
    EXPECT_FALSE(reply_of("NS\r\n").is_error());
}

TEST(MemcachedReply, may_be_cut_anywhere) {
    const std::string line = "VA 3 t30 W\r\n";
    const std::string whole = line + "abc\r\n";
    for (size_t n = 0; n < whole.size(); n++) {
        const Reading r(whole.substr(0, n));
        EXPECT_EQ(r.read.next, Next::kMore) << n;
        EXPECT_EQ(r.read.bytes, n < line.size() ? 0u : whole.size()) << n;
    }
    const Reading more(whole + "HD\r\n");
    EXPECT_EQ(more.read.next, Next::kReply);
    EXPECT_EQ(more.read.bytes, whole.size()) << "the next one begins there";
}

TEST(MemcachedReply, that_is_too_large_can_be_passed_over) {
    EXPECT_EQ(next_of("VA 1000\r\n"), Next::kMore);
    const Reading r("VA 1001 t3\r\nab");
    EXPECT_EQ(r.read.next, Next::kTooLarge);
    EXPECT_EQ(r.read.bytes, 12u + 1001u + 2u);
    EXPECT_EQ(next_of("VA 1073741824\r\n"), Next::kTooLarge);
}

TEST(MemcachedReply, that_is_nonsense_breaks_the_connection) {
    for (const char* text : {"\n",
                             "\r\n",
                             " \r\n",
                             "HD\n",
                             "HDx\n",
                             "hd\r\n",
                             "VERSION 1.6.18\r\n",
                             "VALUE k 0 3\r\n",
                             "END\r\n",
                             "HTTP/1.1 400 Bad\r\n",
                             "VA\r\n",
                             "VA x\r\n",
                             "VA -1\r\n",
                             "VA 1073741825\r\n",
                             "VA 18446744073709551615\r\n",
                             "VA 18446744073709551616\r\n",
                             "VA t3\r\n",
                             "HD t\r\n",
                             "HD tx\r\n",
                             "HD t-2\r\n",
                             "HD Wx\r\n",
                             "HD Zx\r\n",
                             "HD Xx\r\n",
                             "HD c-1\r\n",
                             "HD f4294967296\r\n",
                             "VA 3\r\nabcd\r\n",
                             "VA 3\r\nabc\n\r"}) {
        EXPECT_EQ(next_of(text), Next::kBroken) << text;
    }
    EXPECT_EQ(next_of("HD " + std::string(kMaxMemcachedLine - 4, 'k')), Next::kMore);
    EXPECT_EQ(next_of("HD " + std::string(kMaxMemcachedLine, 'k')), Next::kBroken);
}

// ---- commands -------------------------------------------------------------------------------------------------

std::string mg(Bytes key, uint32_t lease_sec = 0) {
    char to[kMemcachedCommandRoom];
    return {to, static_cast<size_t>(write_mg(to, key, lease_sec) - to)};
}
std::string ms(Bytes key, const std::string& value, uint32_t ttl_sec, uint64_t cas = 0) {
    char to[kMemcachedCommandRoom];
    return std::string(to, static_cast<size_t>(write_ms_head(to, key, value.size(), ttl_sec, cas) - to)) + value +
           "\r\n";
}
std::string md(Bytes key, uint64_t cas = 0) {
    char to[kMemcachedCommandRoom];
    return {to, static_cast<size_t>(write_md(to, key, cas) - to)};
}
TEST(MemcachedCommand, is_a_line) {
    EXPECT_EQ(mg("k"), "mg k v t f c\r\n");
    EXPECT_EQ(mg("k", 5), "mg k v t f c N5\r\n");
    EXPECT_EQ(ms("k", "abc", 30), "ms k 3 T30\r\nabc\r\n");
    EXPECT_EQ(ms("k", "", 30, 77), "ms k 0 T30 C77\r\n\r\n");
    EXPECT_EQ(md("k"), "md k\r\n");
    EXPECT_EQ(md("k", 77), "md k C77\r\n");
}

TEST(MemcachedCommand, has_a_lifetime_that_is_not_taken_for_a_date_and_not_for_ever) {
    EXPECT_EQ(ms("k", "", 30 * 86400), "ms k 0 T2592000\r\n\r\n");
    EXPECT_EQ(ms("k", "", UINT32_MAX), "ms k 0 T2592000\r\n\r\n");
    EXPECT_EQ(ms("k", "", 0), "ms k 0 T1\r\n\r\n");
}

TEST(MemcachedCommand, fits_its_room) {
    const std::string key(kMaxMemcachedKey, 'k');
    EXPECT_LE(mg(key, UINT32_MAX).size(), kMemcachedCommandRoom);
    char to[kMemcachedCommandRoom];
    EXPECT_LE(write_ms_head(to, key, SIZE_MAX, 1, UINT64_MAX), to + sizeof(to));
}

// ---- a server -------------------------------------------------------------------------------------------------

class RealMemcached : public testing::Test {
protected:
    void SetUp() override {
        if (access("/usr/bin/memcached", X_OK) != 0) {
            GTEST_SKIP() << "memcached is not installed: NOT TESTED";
        }
        char name[] = "/tmp/slab-memcached-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory_ = name;
        socket_ = directory_ + "/s";
        (void) !chown(name, kNobody, static_cast<gid_t>(-1));  // as root: it gives up its rights
        pid_ = fork();
        if (pid_ == 0) {
            execl("/usr/bin/memcached", "memcached", "-u", "nobody", "-m", "8", "-s", socket_.c_str(), nullptr);
            _exit(1);
        }
        ASSERT_GT(pid_, 0);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!connected()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            std::this_thread::yield();
        }
    }
    void TearDown() override {
        if (fd_ >= 0) {
            close(fd_);
        }
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        if (!directory_.empty()) {
            unlink(socket_.c_str());
            rmdir(directory_.c_str());
        }
    }
    void say(const std::string& text) { ASSERT_EQ(send(fd_, text.data(), text.size(), 0), ssize_t(text.size())); }
    // The next reply; its value and text live until the one after it.
    MemcachedReply reply() {
        bytes_.erase(0, used_);
        MemcachedReply out;
        for (;;) {
            const MemcachedRead read = read_memcached(bytes_, 1 << 20, &out);
            if (read.next != Next::kMore) {
                EXPECT_EQ(read.next, Next::kReply) << bytes_;
                used_ = read.next == Next::kReply ? read.bytes : bytes_.size();
                return out;
            }
            char piece[4096];
            const ssize_t n = recv(fd_, piece, sizeof(piece), 0);
            if (n <= 0) {
                ADD_FAILURE() << "it hung up";
                return out;
            }
            bytes_.append(piece, static_cast<size_t>(n));
        }
    }
    MemcachedReply ask(const std::string& text) {
        say(text);
        return reply();
    }

private:
    static constexpr uid_t kNobody = 65534;

    bool connected() {
        fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, socket_.c_str(), socket_.size());
        if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
            return true;
        }
        close(fd_);
        fd_ = -1;
        return false;
    }

    std::string directory_, socket_, bytes_;
    pid_t pid_ = -1;
    int fd_ = -1;
    size_t used_ = 0;
};

TEST_F(RealMemcached, gives_back_what_was_stored) {
    EXPECT_EQ(ask(mg("k")).status, Status::kNone);
    EXPECT_EQ(ask(ms("k", "a\r\nb", 100)).status, Status::kDone);
    const MemcachedReply r = ask(mg("k"));
    EXPECT_EQ(r.status, Status::kValue);
    EXPECT_EQ(r.value, "a\r\nb");
    EXPECT_TRUE(r.ttl_sec == 100 || r.ttl_sec == 99) << r.ttl_sec;
    EXPECT_EQ(ask(md("k")).status, Status::kDone);
    EXPECT_EQ(ask(md("k")).status, Status::kNone);
}

TEST_F(RealMemcached, lets_one_fill_what_is_not_there) {
    const MemcachedReply winner = ask(mg("k", 30));
    EXPECT_TRUE(winner.status == Status::kValue && winner.value.empty() && winner.won);
    const MemcachedReply other = ask(mg("k", 30));
    EXPECT_TRUE(other.value.empty() && other.is_taken && !other.won);
    EXPECT_EQ(other.cas, winner.cas);
    EXPECT_EQ(ask(ms("k", "late", 100, winner.cas + 1000)).status, Status::kChanged);
    EXPECT_EQ(ask(ms("k", "filled", 100, winner.cas)).status, Status::kDone);
    const MemcachedReply filled = ask(mg("k", 30));
    EXPECT_EQ(filled.value, "filled");
    EXPECT_FALSE(filled.won || filled.is_taken);
    EXPECT_EQ(ask(ms("k", "again", 100, winner.cas)).status, Status::kChanged) << "the lease was used up";
}

TEST_F(RealMemcached, answers_in_the_order_of_commands) {
    std::string all;
    for (int i = 0; i < 1000; i++) {
        all += ms("k" + std::to_string(i), "v" + std::to_string(i), 100) + mg("k" + std::to_string(i));
    }
    std::thread writer([&] { say(all + "mn\r\n"); });
    for (int i = 0; i < 1000; i++) {
        EXPECT_EQ(reply().status, Status::kDone);
        EXPECT_EQ(reply().value, "v" + std::to_string(i));
    }
    EXPECT_EQ(reply().status, Status::kNoop);
    writer.join();
}

TEST_F(RealMemcached, takes_the_longest_key_and_no_longer_one) {
    EXPECT_EQ(ask(ms(std::string(kMaxMemcachedKey, 'k'), "v", 100)).status, Status::kDone);
    EXPECT_EQ(ask(mg(std::string(kMaxMemcachedKey, 'k'))).value, "v");
    EXPECT_EQ(ask(mg(std::string(kMaxMemcachedKey + 1, 'k'))).status, Status::kClientError);
}

TEST_F(RealMemcached, refuses_what_is_too_large_and_goes_on) {
    const std::string large(2 << 20, 'x');
    std::thread writer([&] { say(ms("k", large, 100) + "mn\r\n"); });
    const MemcachedReply r = reply();
    EXPECT_EQ(r.status, Status::kServerError);
    EXPECT_EQ(r.text, "object too large for cache");
    EXPECT_EQ(reply().status, Status::kNoop);
    writer.join();
}

}  // namespace
}  // namespace slab_cache::cache
