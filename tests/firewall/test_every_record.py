"""Every experiment of linux-6.18-netfilter.jsonl is played by a test that is named here; one that is not is noticed.

What no test compares: times of the log and identifiers of flows, which are of their run; ports that were drawn, beyond
the class or range that they must be in; rules of nft (`list`, `rules`, `nft_counter`), a language that pystack does not
speak; the fixed-point credits of /proc/net/ipt_hashlimit, a file that it does not have; `stat`, the lines of each
processor, of which a machine of pystack has one.
"""

import importlib
import inspect
import re

import pytest
from gateway import RECORDS

PLAYED = {
    "table_full_unanswered_syns": "test_full_table.test_unanswered_syns_fill_the_table",
    "table_full_established": "test_full_table.test_packets_of_flows_pass_and_new_ones_of_any_kind_do_not",
    "table_full_.*_room_made": "test_full_table.test_the_worker_makes_room_among_what_closes",
    "early_drop_.*": "test_full_table.test_early_drop",
    "gc_worker_full_of_udpstream": "test_full_table.test_assured_flows_that_do_not_close_stay",
    "gc_worker_full_of_(syn|udp|esttw|estsyn|synrecv)": (
        "test_full_table.test_a_full_table_refuses_the_machine_itself_and_the_worker_makes_room"
    ),
    "buckets_written_and_read": "test_full_table.test_sizes_that_are_written_and_read",
    "chain_too_long_.*": "test_full_table.test_a_chain_that_is_too_long",
    "snat_one_address": "test_nat.test_one_address",
    "snat_clash_ports_.*": "test_nat.test_clashes_of_a_hundred_hosts",
    "snat_address_range_of_5.*": "test_nat.test_an_address_of_a_pool",
    "snat_range_by_iptables": "test_nat.test_the_hash_over_a_range_is_that_of_iptables_too",
    "snat_(random|fully-random)": "test_nat.test_random_ports",
    "snat_same_mapping_.*": "test_nat.test_the_same_mapping_for_other_destinations",
    "snat_ten_ports_exhausted.*": "test_nat.test_ten_ports",
    "snat_port_range_original_port_inside": "test_nat.test_a_port_inside_of_the_range_is_kept",
    "snat_.*_all_time_wait_.*": "test_nat.test_what_is_over_gives_way_to_a_higher_syn",
    "snat_2_ports_established_new_syn": "test_nat.test_established_flows_keep_their_ports",
    "snat_2_addresses_2_ports_each": "test_nat.test_a_pool_does_not_spill_over",
    "snat_and_dnat": "test_nat.test_both",
    "snat_udp_icmp_generic_clash": "test_nat.test_what_can_vary",
    "snat_generic_protocol_clash": "test_nat.test_a_protocol_without_ports_has_one_flow_an_address",
    "snat_udp_2_ports_exhausted": "test_nat.test_udp_ports_used_up",
    "snat_udp_40_ports_exhausted": "test_nat.test_forty_udp_ports_used_up",
    "snat_200_ports_exhausted_tcp": "test_nat.test_two_hundred_ports_used_up",
    "snat_two_ports_full_of_.*": "test_nat.test_which_states_give_way",
    "masquerade": "test_nat.test_masquerade",
    "masquerade_two_ports": "test_masquerade.test_two_ports_for_four",
    "masquerade_no_address_anywhere": "test_masquerade.test_no_address_anywhere",
    "dnat_one": "test_nat.test_dnat",
    "dnat_range_of_5": "test_nat.test_dnat_over_a_range",
    "dnat_port_range": "test_nat.test_dnat_takes_the_lowest_port",
    "udp_(defaults|one_way|first_answer_after_3s)": "test_trackers.test_udp",
    "udp_timeout_2s_lazy": "test_trackers.test_udp_expires_unseen",
    "udp_answer_after_timeout": "test_trackers.test_an_answer_after_the_timeout_begins_a_flow",
    "icmp_echo": "test_trackers.test_icmp_echo",
    "icmp_(timestamp|info|mask|echo_reply_alone|router_solicit|unreachable_alone)": (
        "test_trackers.test_one_icmp_packet"
    ),
    "icmp_port_unreachable_for_udp_flow": "test_trackers.test_an_error_about_a_flow_changes_nothing_of_it",
    "generic_proto_253|generic_default_line|esp": "test_trackers.test_other_protocols",
    "gre": "test_trackers.test_gre",
    "tcp_timeouts_list_read_often": "test_trackers.test_tcp_timeouts_pass",
    "tcp_timeouts_only_count_read": "test_trackers.test_the_worker_finds_them_in_the_end",
    "tcp_expired_entry_hit_by_packet": "test_trackers.test_data_for_an_expired_flow_is_picked_up",
    "timeout_change_applies_at_next_packet": "test_trackers.test_a_new_timeout_is_for_the_next_packet",
    "syn_retransmission_and_syn_sent_timer": "test_trackers.test_a_repeated_syn_does_not_renew",
    "connlimit_above_3": "test_recorded_rules.test_connlimit_above",
    "connlimit_time_wait_.*": "test_recorded_rules.test_connlimit_and_time_wait",
    "connlimit_upto_2_mask_24": "test_recorded_rules.test_connlimit_of_a_network",
    "nft_ct_count_over_2_per_source": "test_recorded_rules.test_a_count_per_source",
    "nft_ct_count_over_3_.*": "test_recorded_rules.test_a_count_without_a_condition_on_syn",
    "hashlimit_.*": "test_recorded_rules.test_hashlimit",
    "limit_2_.*": "test_recorded_rules.test_limit",
    "notrack_one_direction": "test_recorded_rules.test_notrack_of_one_direction",
    "zone_7_mark_42": "test_recorded_rules.test_zones_and_marks",
    "zone_orig_7": "test_zones.test_a_zone_of_the_original_direction",
    "same_tuple_in_two_zones": "test_zones.test_one_tuple_in_two_zones",
}


def test_each_record_has_one_test():
    for name in RECORDS:
        players = [test for pattern, test in PLAYED.items() if re.fullmatch(pattern, name)]
        assert len(players) == 1, (name, players)
    assert len(RECORDS) == 102


@pytest.mark.parametrize("name", RECORDS)
def test_the_test_reads_the_record(name: str):
    """It is there, and one of its strings is the name of the record, or a form of it: `f"early_drop_{kind}_…"`."""
    test = next(test for pattern, test in PLAYED.items() if re.fullmatch(pattern, name))
    module, _, function = test.partition(".")
    source = inspect.getsource(getattr(importlib.import_module(module), function))
    forms = re.findall(r'f?"([^"\n]+)"', source)
    assert any(
        re.fullmatch(re.sub(r"\{[^}]*\}", ".*", form), name)
        for form in forms
        if "_" in form or form == name
    )
