//! Whether the search tree of a MaxMind DB file is one: a file whose branches meet again and again
//! could be walked for longer than the sun burns.
//!
//! Good files have some branches that meet: the IPv4 part hangs in the IPv6 tree at several places
//! (MaxMind DB file format specification 2.0, "IPv4 addresses in an IPv6 tree").

use super::DatabaseError;

/// Checks the tree at the head of a file.
///
/// # Errors
/// When a branch leads back to itself, or there are far more ways through the tree than nodes.
pub(super) fn check(bytes: &[u8], nodes: u32, record_size: u16) -> Result<(), DatabaseError> {
    let tree = Tree { bytes, nodes, record_size };
    let most = (u64::from(nodes) + 1) * HUNG;
    match tree.ways()? {
        ways if ways > most => Err(broken(format!(
            "its {nodes} nodes lead to more than {most} networks, so it is no tree"
        ))),
        _ => Ok(()),
    }
}

struct Tree<'t> {
    bytes: &'t [u8],
    nodes: u32,
    record_size: u16,
}

impl Tree<'_> {
    /// How many ways lead from the root to a leaf; counted from the leaves up, each node once.
    fn ways(&self) -> Result<u64, DatabaseError> {
        let mut known = vec![0_u64; self.nodes as usize];
        let mut open = vec![(0_u32, 0_u8)];
        while let Some((node, seen)) = open.pop() {
            let at = node as usize;
            if seen == 0 && known.get(at).copied() != Some(0) {
                continue;
            }
            let children = [self.child(node, 0)?, self.child(node, 1)?];
            if seen == 1 {
                let ways = |child: u32| known.get(child as usize).copied().unwrap_or(1);
                known[at] = ways(children[0]).saturating_add(ways(children[1]));
                continue;
            }
            known[at] = OPEN;
            open.push((node, 1));
            for child in children.into_iter().filter(|child| *child < self.nodes) {
                match known[child as usize] {
                    0 => open.push((child, 0)),
                    // Either it is counted, or it waits above on the stack: then it leads here.
                    OPEN if open.contains(&(child, 1)) => {
                        return Err(broken(format!("node {child} leads back to itself")));
                    }
                    _ => {}
                }
            }
        }
        Ok(known.first().copied().unwrap_or(1))
    }

    /// The node, or above all nodes something else, on one side of a node.
    fn child(&self, node: u32, side: usize) -> Result<u32, DatabaseError> {
        let octets = usize::from(self.record_size) / 4;
        let from = node as usize * octets;
        let own = self.bytes.get(from..from + octets);
        let own = own.ok_or_else(|| broken(format!("node {node} lies behind the file's end")))?;
        match (own, side) {
            ([a, b, c, _, _, _], 0) | ([_, _, _, a, b, c], 1) => {
                Ok(u32::from_be_bytes([0, *a, *b, *c]))
            }
            ([a, b, c, high, _, _, _], 0) => Ok(u32::from_be_bytes([high >> 4, *a, *b, *c])),
            ([_, _, _, high, a, b, c], 1) => Ok(u32::from_be_bytes([high & 0x0f, *a, *b, *c])),
            ([a, b, c, d, _, _, _, _], 0) | ([_, _, _, _, a, b, c, d], 1) => {
                Ok(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            _ => Err(broken(format!("record size {} is none of 24, 28, 32", self.record_size))),
        }
    }
}

fn broken(text: String) -> DatabaseError {
    DatabaseError::Broken(text)
}

/// A node whose children are not counted yet.
const OPEN: u64 = u64::MAX;
/// Places where good files hang their IPv4 part, with some to spare.
const HUNG: u64 = 16;
