// Purges as entries of a stream: what is written is read as it was meant, or wider, never narrower.
#include "cache/fleet_wire.h"

#include "cache/fleet_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/redis_text.h"
#include "support/selection.h"

namespace slab_cache::cache {
namespace {

using test::entry_text;
using test::Fields;
using test::Told;

struct Selected : Selection {
    test::Memory memory;
    explicit Selected(size_t room = 64) : Selection(test::selection_in(&memory, {false, ""})) {
        keeps_all = true;
        EXPECT_TRUE(make_room(this, room));
    }
};

std::vector<Fields> records_of(const Selection& s) {
    std::vector<Fields> out;
    RecordList list{};
    if (!write_records(s, &list)) {
        return out;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        Fields fields;
        Bytes rest = list.text[i];
        RecordField f;
        while (next_record_field(&rest, &f)) {
            fields.push_back({std::string(f.name), std::string(f.value)});
        }
        EXPECT_TRUE(rest.empty());
        out.push_back(fields);
    }
    return out;
}

std::string shown(const Selection& s) {
    std::string text;
    for (const Fields& record : records_of(s)) {
        for (const auto& f : record) {
            text += f.first + "=" + f.second + " ";
        }
    }
    return text.empty() ? text : text.substr(0, text.size() - 1);
}

EntryHead head_of(const Fields& fields) {
    const Told told(entry_text("7-1", fields));
    EntryHead head;
    EXPECT_TRUE(read_entry_head(told.reply(), &head));
    return head;
}

// What another node selects by what this one wrote.
void read_back(const Selection& from, Selection* to, std::string* text) {
    for (const Fields& fields : records_of(from)) {
        *text += entry_text("7-1", fields);
        const Told told(entry_text("7-1", fields));
        ASSERT_TRUE(told.ok());
        EntryHead head;
        ASSERT_TRUE(read_entry_head(told.reply(), &head));
        ASSERT_TRUE(head.is_readable);
        if (head.all) {
            select_all(to);
        }
        to->soft = head.mode == EntryMode::kSoft;
        ASSERT_TRUE(select_entry(told.reply(), to));
    }
}

// Every selector, inner ones too, and every pattern.
void expect_same(Selection* a, Selection* b) {
    std::vector<uint64_t> of_a(a->selector, a->selector + join_inner(a));
    std::vector<uint64_t> of_b(b->selector, b->selector + join_inner(b));
    std::sort(of_a.begin(), of_a.end());
    std::sort(of_b.begin(), of_b.end());
    EXPECT_EQ(of_a, of_b);
    EXPECT_EQ(a->all, b->all);
    EXPECT_EQ(a->soft, b->soft);
    ASSERT_EQ(a->glob_count, b->glob_count);
    for (uint32_t i = 0; i < a->glob_count; i++) {
        EXPECT_EQ(a->glob[i].host, b->glob[i].host);
        EXPECT_EQ(a->glob[i].pattern, b->glob[i].pattern);
    }
}

TEST(FleetWire, what_is_named_is_written_as_the_api_names_it) {
    Selected s;
    ASSERT_TRUE(select_url(&s, "http://H/a%20b/c?x=%41&y"));
    ASSERT_TRUE(select_prefix(&s, "h/p"));
    ASSERT_TRUE(select_prefix(&s, "h/q/"));
    ASSERT_TRUE(select_host(&s, "h"));
    ASSERT_TRUE(select_tag(&s, "post-17"));
    ASSERT_TRUE(select_url(&s, "h/*.css"));
    EXPECT_EQ(shown(s), "url=h/a%20b/c?x=%41&y prefix=h/p prefix=h/q/ host=h tag=post-17 glob=h/*.css");
}

TEST(FleetWire, is_read_as_it_was_meant) {
    const char* const urls[] = {"http://h/",
                                "h/a",
                                "h/a%2525",
                                "h/a%2Fb",
                                "h/%C3%A4/x?y=%C3%A4",
                                "h/a?b=c&d",
                                "https://h:8443/a//b",
                                "h/a/../b",
                                "h/a%3Fb?c",
                                "h/a%23b",
                                "h/x%20y",
                                "h/a%00b",
                                "h/a/*",
                                "h/a*",
                                "h/a%3Fb*?c=*",
                                "h/*?x%20=*",
                                "[::1]:8080/a",
                                "h/+a;b,c"};
    for (const char* url : urls) {
        Selected s;
        Selected t;
        std::string text;
        ASSERT_TRUE(select_url(&s, url)) << url;
        read_back(s, &t, &text);
        SCOPED_TRACE(std::string(url) + " as " + text);
        expect_same(&s, &t);
    }
}

TEST(FleetWire, prefixes_hosts_and_tags_are_read_as_they_were_meant) {
    Selected s;
    Selected t;
    std::string text;
    ASSERT_TRUE(select_prefix(&s, "h/a%20b"));
    ASSERT_TRUE(select_prefix(&s, "h/a%2525/"));
    ASSERT_TRUE(select_prefix(&s, "h/"));
    ASSERT_TRUE(select_host(&s, "H.example:81"));
    ASSERT_TRUE(select_tag(&s, "a%20b\xc3\xa4"));
    s.soft = true;
    read_back(s, &t, &text);
    expect_same(&s, &t);
}

TEST(FleetWire, conditions_over_tags_are_entries_of_their_own) {
    Selected s;
    Selected t;
    const Bytes all[] = {"a", "b"};
    const Bytes none[] = {"c"};
    std::string text;
    ASSERT_TRUE(select_tag(&s, "x"));
    ASSERT_TRUE(select_tags(&s, {all, 2, none, 1}));
    ASSERT_TRUE(select_tags(&s, {all, 1, nullptr, 0}));
    EXPECT_EQ(shown(s), "tag=x tags_all=a b not=c tags_all=a");
    EXPECT_EQ(records_of(s).size(), 3u);
    read_back(s, &t, &text);
    expect_same(&s, &t);
}

TEST(FleetWire, a_url_whose_arguments_a_reader_would_encode_is_said_wider) {
    Selected s;
    Selected t;
    std::string text;
    ASSERT_TRUE(select_exactly(&s, {"h", "/a", "q=\xc3\xa4"}));
    EXPECT_EQ(shown(s), "glob=h/a?*");
    read_back(s, &t, &text);
    ASSERT_EQ(t.glob_count, 1u);
    EXPECT_EQ(t.glob[0].pattern, "/a?*");
}

TEST(FleetWire, all_says_all) {
    Selected s;
    Selected t;
    std::string text;
    select_all(&s);
    ASSERT_TRUE(select_tag(&s, "a"));
    s.soft = true;
    EXPECT_EQ(shown(s), "all=1 mode=soft");
    read_back(s, &t, &text);
    EXPECT_TRUE(t.all && t.soft);
}

TEST(FleetWire, much_becomes_several_records_each_with_its_mode) {
    Selected s(2000);
    Selected t(4000);
    std::string text;
    s.soft = true;
    for (int i = 0; i < 1500; i++) {
        ASSERT_TRUE(select_tag(&s, "tag-number-" + std::to_string(i)));
    }
    const std::vector<Fields> records = records_of(s);
    EXPECT_GT(records.size(), 4u);
    for (const Fields& record : records) {
        EXPECT_EQ(record.back(), (std::pair<std::string, std::string>("mode", "soft")));
    }
    read_back(s, &t, &text);
    expect_same(&s, &t);
}

TEST(FleetWire, what_is_not_known_as_text_is_not_written) {
    Selection s = {};
    test::Memory memory;
    s = test::selection_in(&memory);
    ASSERT_TRUE(make_room(&s, 8));  // without keeps_all
    ASSERT_TRUE(select_tag(&s, "a"));
    RecordList list{};
    EXPECT_FALSE(write_records(s, &list));
    Selected nothing;
    EXPECT_FALSE(write_records(nothing, &list));
}

TEST(FleetWire, doubt_is_a_record) {
    char text[32];
    Bytes rest = write_doubt(text, sizeof(text));
    RecordField f;
    ASSERT_TRUE(next_record_field(&rest, &f));
    EXPECT_TRUE(f.name == "all" && f.value == "1");
    ASSERT_TRUE(next_record_field(&rest, &f));
    EXPECT_TRUE(f.name == "mode" && f.value == "doubt");
    EXPECT_FALSE(next_record_field(&rest, &f));
}

TEST(FleetEntry, plain_fields_of_an_application_are_enough) {
    const EntryHead head = head_of({{"tag", "post-17"}});
    EXPECT_TRUE(head.is_readable);
    EXPECT_TRUE(head.mode == EntryMode::kHard && !head.all && head.values == 1 && head.zone.empty());
    EXPECT_TRUE(head.id == (StreamId{7, 1}));
}

TEST(FleetEntry, values_are_lists) {
    const Told told(entry_text("7-1", {{"tags", "a, b\tc"}, {"url", "h/a h/b\nh/c"}, {"hosts", "h i"}}));
    EntryHead head;
    Selected s;
    ASSERT_TRUE(read_entry_head(told.reply(), &head));
    EXPECT_TRUE(head.is_readable);
    EXPECT_EQ(head.values, 8u);
    ASSERT_TRUE(select_entry(told.reply(), &s));
    EXPECT_EQ(shown(s), "tag=a tag=b tag=c url=h/a url=h/b url=h/c host=h host=i");
}

TEST(FleetEntry, modes) {
    EXPECT_EQ(head_of({{"all", "1"}, {"mode", "soft"}}).mode, EntryMode::kSoft);
    EXPECT_EQ(head_of({{"all", "true"}, {"mode", "doubt"}}).mode, EntryMode::kDoubt);
    EXPECT_EQ(head_of({{"all", "yes"}, {"mode", "hard"}}).mode, EntryMode::kHard);
    EXPECT_FALSE(head_of({{"all", "1"}, {"mode", "Soft"}}).is_readable);
    EXPECT_FALSE(head_of({{"tag", "a"}, {"mode", ""}}).is_readable);
}

TEST(FleetEntry, what_names_nothing_it_knows_is_not_readable) {
    EXPECT_FALSE(head_of({}).is_readable);
    EXPECT_FALSE(head_of({{"tagz", "a"}}).is_readable);
    EXPECT_FALSE(head_of({{"tag", " "}}).is_readable);
    EXPECT_FALSE(head_of({{"all", "perhaps"}}).is_readable);
    EXPECT_TRUE(head_of({{"all", "0"}}).is_readable);
    EXPECT_TRUE(head_of({{"hello", "web1"}, {"from", "x"}}).is_readable);
}

TEST(FleetEntry, an_unknown_field_beside_a_known_one_is_counted) {
    const EntryHead head = head_of({{"tag", "a"}, {"reason", "price changed"}, {"user", "7"}});
    EXPECT_TRUE(head.is_readable);
    EXPECT_EQ(head.unknown, 2u);
}

TEST(FleetEntry, what_cannot_be_meant_is_told) {
    Selected s;
    for (const Fields& fields : {Fields{{"url", "/only/a/path"}}, Fields{{"host", "h/x"}}, Fields{{"not", "a"}},
                                 Fields{{"prefix", "h/a?b"}}, Fields{{"tag", "a"}, {"url", "ftp://h/"}}}) {
        const Told told(entry_text("7-1", fields));
        EXPECT_FALSE(select_entry(told.reply(), &s)) << fields[0].second;
    }
}

TEST(FleetEntry, nonsense_is_no_entry_or_not_readable) {
    EntryHead head;
    for (const char* text : {"*0\r\n", ":1\r\n", "*2\r\n$1\r\nx\r\n*0\r\n", "*2\r\n$3\r\n1-x\r\n*0\r\n"}) {
        EXPECT_FALSE(read_entry_head(Told(text).reply(), &head)) << text;
    }
    for (const char* text : {"*2\r\n$3\r\n1-0\r\n:1\r\n", "*2\r\n$3\r\n1-0\r\n*1\r\n$3\r\ntag\r\n",
                             "*2\r\n$3\r\n1-0\r\n*2\r\n:1\r\n:2\r\n"}) {
        ASSERT_TRUE(read_entry_head(Told(text).reply(), &head)) << text;
        EXPECT_FALSE(head.is_readable) << text;
    }
}

TEST(FleetWire, what_unsafe_requests_invalidate_is_read_as_it_was_meant) {
    Selected s;
    const Url url[] = {{"h", "/a b%/\xc3\xa4", "x=%41&y"}, {"h", "/", ""}, {"h", "/not said", "q=\xc3\xa4"}};
    const Group group[] = {{"h", "a group / of \"many\""}};
    Bytes text;
    ASSERT_TRUE(write_invalidation(s.arena, url, 3, group, 1, &text));
    Fields fields;
    RecordField f;
    for (Bytes rest = text; next_record_field(&rest, &f);) {
        fields.push_back({std::string(f.name), std::string(f.value)});
    }
    ASSERT_EQ(fields.size(), 3u);
    const Told told(entry_text("7-1", fields));
    EntryHead head;
    ASSERT_TRUE(read_entry_head(told.reply(), &head));
    EXPECT_TRUE(head.is_readable && head.values == 0 && head.invalidated == 3);
    std::vector<std::pair<uint64_t, bool>> got;
    each_invalidated(
        told.reply(), s,
        [](uint64_t selector, bool is_url, void* data) {
            static_cast<std::vector<std::pair<uint64_t, bool>>*>(data)->push_back({selector, is_url});
        },
        &got);
    const std::vector<std::pair<uint64_t, bool>> wanted = {{url_selector(url[0], s.secret), true},
                                                           {url_selector(url[1], s.secret), true},
                                                           {group_selector("h", group[0].name, s.secret), false}};
    EXPECT_EQ(got, wanted);
    EXPECT_TRUE(select_entry(told.reply(), &s) && s.count == 0);
}

TEST(FleetEntry, an_invalidation_that_cannot_be_read_is_passed_over) {
    Selected s;
    const Told told(entry_text("7-1", {{"unsafe", "no host, and blanks"}, {"unsafe", "/x"}, {"group", "nothing"}}));
    EntryHead head;
    ASSERT_TRUE(read_entry_head(told.reply(), &head));
    EXPECT_TRUE(head.is_readable);
    int count = 0;
    each_invalidated(
        told.reply(), s, [](uint64_t, bool, void* data) { ++*static_cast<int*>(data); }, &count);
    EXPECT_EQ(count, 0);
}

TEST(FleetEntry, the_hash_tells_entries_apart) {
    const std::vector<std::string> texts = {entry_text("7-1", {{"tag", "a"}}),
                                            entry_text("7-1", {{"tag", "b"}}),
                                            entry_text("7-2", {{"tag", "a"}}),
                                            entry_text("7-1", {{"taga", ""}}),
                                            entry_text("7-1", {{"tag", "a"}, {"tag", "a"}}),
                                            entry_text("7-1", {{"tag", std::string(9, '\0')}}),
                                            entry_text("7-1", {{"tag", std::string(8, '\0')}})};
    std::vector<uint64_t> hashes;
    for (const std::string& text : texts) {
        hashes.push_back(hash_entry(Told(text).reply()));
        EXPECT_EQ(hashes.back(), hash_entry(Told(text).reply()));
    }
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

TEST(StreamIdText, are_read_and_printed) {
    StreamId id;
    ASSERT_TRUE(parse_stream_id("1700000000000-3", &id));
    EXPECT_TRUE(id == (StreamId{1700000000000u, 3}));
    EXPECT_EQ(StreamIdText(id).view(), "1700000000000-3");
    EXPECT_EQ(StreamIdText({UINT64_MAX, UINT64_MAX}).view(), "18446744073709551615-18446744073709551615");
    for (const Bytes no : {Bytes("1"), Bytes("-"), Bytes("1-"), Bytes("-1"), Bytes("1-2-3"),
                           Bytes("18446744073709551616-0"), Bytes("1 -2")}) {
        EXPECT_FALSE(parse_stream_id(no, &id)) << no;
    }
    EXPECT_TRUE((StreamId{1, 9} < StreamId{2, 0}) && (StreamId{2, 0} <= StreamId{2, 0}) &&
                !(StreamId{2, 1} <= StreamId{2, 0}));
}

}  // namespace
}  // namespace slab_cache::cache
