"""Refuses to start what would run unsecured."""

from collections.abc import Mapping, Sequence

from grasp_bringup.node_spec import NodeSpec
from grasp_bringup.security.enclaves import OVERRIDE, keystore_of
from grasp_bringup.security.keystore import require_enclaves
from grasp_bringup.security.middleware import HINT, require_credentials_read, try_enclave
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.share import PACKAGE


def require_security(
    nodes: Sequence[NodeSpec], environ: Mapping[str, str], others: Sequence[str] = ()
) -> None:
    """Raise unless every node's enclave is there and the middleware heeds it; without enclaves do nothing.

    Args:
        nodes: to be started.
        environ: variables that they are started with.
        others: enclaves of processes that are no nodes of ours to list.

    Raises:
        ConfigError: ROS_SECURITY_ENCLAVE_OVERRIDE is set, the rmw takes no enclaves, the keystore is not
            whole, or its credentials are refused.
        MissingDependencyError: the middleware has no security (middleware.py says how that is found).
    """
    keystore = keystore_of(nodes)
    if keystore is None:
        return
    if environ.get(OVERRIDE):
        raise ConfigError(
            f"{OVERRIDE} {environ[OVERRIDE]}: would give this one enclave to every node; unset it"
        )
    if bare := [spec.name for spec in nodes if spec.enclave is None]:
        raise ConfigError(f"{', '.join(bare)}: no enclave, beside nodes that have one")
    require_credentials_read(environ)
    require_enclaves(keystore, [*(spec.enclave.name for spec in nodes if spec.enclave), *others])
    ours = next((spec for spec in nodes if spec.package == PACKAGE), nodes[0])
    assert ours.enclave is not None
    answer = try_enclave(ours.enclave.name, keystore, environ, ours.name, ours.namespace)
    if not answer.started:
        raise MissingDependencyError(
            f"{answer.middleware}: does not start with enclave {ours.enclave.name} of keystore {keystore}: "
            f"{answer.reason}. A keystore holds for one ROS_DOMAIN_ID, and its certificates end. {HINT}"
        )
