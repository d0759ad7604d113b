//! What histories have found, each told by itself.

use super::{
    Asset, FINAL_AFTER, Faults, History, PAYER, Plan, Server, UNTIL_GONE, chain::is_unlucky, new_watcher, start,
};

async fn start_one() -> (Server, History) {
    let (server, mut histories) = start(&[1]).await;
    (server, histories.pop().unwrap())
}

async fn says_the_truth(history: &History, server: &Server) {
    server.number_events().await;
    assert_eq!(history.judge(server).await, [""; 0]);
}

#[tokio::test]
async fn what_was_nobody_s_and_vanished_while_nobody_looked_is_nobody_s_no_more() {
    let (server, mut history) = start_one().await;
    history.send(history.half_a_dollar(&[]));
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await.len(), 1);
    history.chain.drop_blocks(1);
    for _ in 0..5 {
        history.finalize(&server);
    }
    history.watcher = new_watcher(&server, &history.network, history.seed).await;
    history.come_to_rest(&server).await;
    assert_eq!(history.unattributed(&server).await, []);
    says_the_truth(&history, &server).await;
}

#[tokio::test]
async fn what_was_nobody_s_is_not_so_any_more_once_it_is_known_whose_it_is() {
    let (server, mut history) = start_one().await;
    let unquoted = history.invoices[1].id.to_string();
    history.send(history.half_a_dollar(&[unquoted]));
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await.len(), 1);
    history.quote(&server, 1, Asset::Dollar).await;
    history.watcher = new_watcher(&server, &history.network, history.seed).await;
    history.rest(&server).await;
    assert_eq!(history.unattributed(&server).await, []);
    says_the_truth(&history, &server).await;
}

#[tokio::test]
async fn what_was_an_invoice_s_stays_it_when_more_is_known() {
    let (server, mut history) = start_one().await;
    let both: Vec<String> = history.invoices.iter().map(|order| order.id.to_string()).collect();
    history.send(history.half_a_dollar(&both));
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    history.watcher.step().await.unwrap();
    history.quote(&server, 1, Asset::Dollar).await;
    // Read anew it names two invoices, and so says nothing.
    history.watcher = new_watcher(&server, &history.network, history.seed).await;
    history.rest(&server).await;
    assert_eq!(history.unattributed(&server).await, []);
    says_the_truth(&history, &server).await;
}

#[tokio::test]
async fn a_host_that_lists_less_than_it_was_asked_for_hides_nothing() {
    let (server, mut history) = start_one().await;
    for host in 0..2 {
        history.chain.set_faults(host, Faults { most_listed: Some(3), ..Faults::default() });
    }
    for _ in 0..8 {
        history.send(history.half_a_dollar(&[]));
    }
    history.finalize(&server);
    history.come_to_rest(&server).await;
    assert_eq!(history.unattributed(&server).await.len(), 8);
    says_the_truth(&history, &server).await;
}

#[tokio::test]
async fn a_host_that_lags_takes_nothing_back() {
    let (server, mut history) = start_one().await;
    history.send(history.half_a_dollar(&[]));
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    history.watcher.step().await.unwrap();
    for _ in 0..10 {
        history.chain.mine(server.now(), UNTIL_GONE, Vec::new());
    }
    // It has not come to the payment, and who has does not answer.
    history.chain.set_faults(0, Faults { lacks: Some("getSignatureStatuses"), ..Faults::default() });
    history.chain.set_faults(1, Faults { lags: 11, ..Faults::default() });
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await.len(), 1);
    history.rest(&server).await;
    says_the_truth(&history, &server).await;
}

/// Some of them host 0 never lists from now on.
fn leave_out(history: &mut History) {
    history.omitter = Some(0);
    history.behave();
}

#[tokio::test]
async fn a_payment_that_moved_and_is_left_out_since_is_found_in_its_new_block() {
    let (server, mut history) = start_one().await;
    for _ in 0..8 {
        history.send(history.half_a_dollar(&[]));
    }
    let sent = std::mem::take(&mut history.waiting);
    history.chain.mine(server.now(), 0, sent.clone());
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await.len(), 8);
    history.chain.drop_blocks(1);
    history.chain.mine(server.now(), 2, sent);
    leave_out(&mut history);
    history.finalize(&server);
    server.clock.advance_seconds(31);
    history.come_to_rest(&server).await;
    history.come_to_rest(&server).await;
    says_the_truth(&history, &server).await;
}

#[tokio::test]
async fn what_nobody_showed_at_a_late_first_look_is_found_once_the_other_host_has_caught_up() {
    let (server, mut history) = start_one().await;
    for _ in 0..8 {
        history.send(history.half_a_dollar(&[]));
    }
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    for _ in 0..FINAL_AFTER {
        history.chain.mine(server.now(), 0, Vec::new());
    }
    leave_out(&mut history);
    // To it they are not final yet, and what is not final it hides.
    history.chain.set_faults(1, Faults { lags: 3, hides: true, ..Faults::default() });
    history.watcher.step().await.unwrap();
    assert!(history.unattributed(&server).await.len() < 8);
    history.behave();
    history.finalize(&server);
    server.clock.advance_seconds(31);
    history.come_to_rest(&server).await;
    assert_eq!(history.unattributed(&server).await.len(), 8);
    history.come_to_rest(&server).await;
    says_the_truth(&history, &server).await;
}

/// At the next look at what accounts hold.
async fn finds_one(history: &mut History, server: &Server) {
    history.finalize(server);
    server.clock.advance_seconds(31);
    history.come_to_rest(server).await;
    assert_eq!(history.unattributed(server).await.len(), 1);
    history.come_to_rest(server).await;
    says_the_truth(history, server).await;
}

/// Sends transactions until there is one that all of these hosts leave out; nobody has seen the others.
fn send_left_out(history: &mut History, hosts: &[usize], plan: &Plan) {
    loop {
        let name = history.send(plan.clone());
        if hosts.iter().all(|host| is_unlucky(*host, &name)) {
            return;
        }
        history.waiting.pop();
    }
}

#[tokio::test]
async fn what_came_and_left_again_in_the_same_amount_both_left_out_is_found_by_the_fee_that_the_wallet_paid() {
    let (server, mut history) = start_one().await;
    history.watcher.step().await.unwrap();
    leave_out(&mut history);
    for signer in [PAYER, history.wallet] {
        let plan = Plan { signer, ..history.half_a_dollar(&[]) };
        send_left_out(&mut history, &[0], &plan);
    }
    finds_one(&mut history, &server).await;
}

#[tokio::test]
async fn what_was_missing_and_left_again_before_a_restart_is_found_after_it() {
    let (server, mut history) = start_one().await;
    history.watcher.step().await.unwrap();
    for host in 0..2 {
        history.chain.set_faults(host, Faults { omits: true, ..Faults::default() });
    }
    let came = history.half_a_dollar(&[]);
    send_left_out(&mut history, &[0, 1], &came);
    let left = Plan { signer: history.wallet, ..came };
    loop {
        let name = history.send(left.clone());
        if (0..2).all(|host| !is_unlucky(host, &name)) {
            break;
        }
        history.waiting.pop();
    }
    history.finalize(&server);
    server.clock.advance_seconds(31);
    for _ in 0..3 {
        history.watcher.step().await.unwrap();
    }
    assert_eq!(history.unattributed(&server).await, []);
    // What left explains its fee, and is known to no new process: the tokens are as they were.
    history.watcher = new_watcher(&server, &history.network, history.seed).await;
    leave_out(&mut history);
    finds_one(&mut history, &server).await;
}

#[tokio::test]
async fn what_nobody_served_at_a_late_first_look_is_found_once_somebody_does() {
    let (server, mut history) = start_one().await;
    let plan = history.half_a_dollar(&[]);
    send_left_out(&mut history, &[0, 1], &plan);
    history.finalize(&server);
    leave_out(&mut history);
    for host in 0..2 {
        history.chain.set_faults(host, Faults { omits: host == 0, withholds: true, ..Faults::default() });
    }
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await, []);
    history.behave();
    finds_one(&mut history, &server).await;
}

#[tokio::test]
async fn what_was_found_in_a_step_that_failed_is_found_again() {
    let (server, mut history) = start_one().await;
    let lack = |history: &History, method| {
        for host in 0..2 {
            let faults = Faults { omits: history.omitter == Some(host), lacks: Some(method), ..Faults::default() };
            history.chain.set_faults(host, faults);
        }
    };
    lack(&history, "getMultipleAccounts");
    let plan = history.half_a_dollar(&[]);
    history.send(plan.clone());
    history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
    history.watcher.step().await.unwrap();
    leave_out(&mut history);
    send_left_out(&mut history, &[0], &plan);
    history.finalize(&server);
    // It fails as it asks whether the first one, which was not final, is still there.
    lack(&history, "getSignatureStatuses");
    assert!(history.watcher.step().await.is_err());
    assert_eq!(history.unattributed(&server).await.len(), 1);
    history.behave();
    history.watcher.step().await.unwrap();
    assert_eq!(history.unattributed(&server).await.len(), 2);
    history.rest(&server).await;
    says_the_truth(&history, &server).await;
}
