"""Makes an Active Directory domain with people in it. Runs in the system's Python, which has Samba's modules.

``python3 samba_provision.py FOLDER`` writes the domain ``ad.example.test`` into ``FOLDER``.
"""

import sys

import samba.provision
from samba.auth import system_session
from samba.netcmd.main import cmd_sambatool
from samba.param import LoadParm
from samba.samdb import SamDB

REALM = "AD.EXAMPLE.TEST"
BASE = "DC=ad,DC=example,DC=test"
USERS = ("alice", "bob", "victim", "mallory", "disabled", "expired", "mustchange", "locked", "nohours", "elsewhere")
GROUPS = {
    "developers": ("alice", "bob"),
    "engineering": ("developers",),
    "staff": ("engineering", "victim"),
    "ring": ("circle", "developers"),
    "circle": ("ring",),
}
LONG_AGO = 116444736000000000  # 1970, in Windows' ticks
FLAGS_NORMAL = 512
NO_HOURS = "A" * 28  # no bit of a week is set


def provision(folder: str) -> None:
    # Shares of files are nobody's business here, and their access lists need a file system with them.
    samba.provision.setsysvolacl = lambda *_, **__: None
    arguments = ["domain", "provision", f"--realm={REALM}", "--domain=ADX", "--adminpass=Adm1n-pass!"]
    options = ["--server-role=dc", "--dns-backend=NONE", f"--targetdir={folder}", "--host-name=dc"]
    if cmd_sambatool()._run("samba-tool", *arguments, *options):
        sys.exit("samba-tool failed")


def change(database: SamDB, user: str, **values: str) -> None:
    lines = [f"dn: CN={user},CN=Users,{BASE}", "changetype: modify"]
    for name, value in values.items():
        lines += [f"replace: {name}", f"{name}: {value}", "-"]
    database.modify_ldif("\n".join(lines) + "\n")


def populate(folder: str) -> None:
    parameters = LoadParm()
    parameters.load(f"{folder}/etc/smb.conf")
    database = SamDB(f"{folder}/private/sam.ldb", session_info=system_session(), lp=parameters)
    for user in USERS:
        database.newuser(user, f"{user.title()}-secret1", mailaddress=f"{user}@example.test")
    for name in GROUPS:
        database.newgroup(name)
    for name, members in GROUPS.items():
        database.add_remove_group_members(name, list(members), add_members_operation=True)
    change(database, "alice", displayName="Alice Example")
    change(database, "victim", mail="boss@example.test")
    change(database, "mallory", userPrincipalName="boss@ad.example.test")
    change(database, "disabled", userAccountControl=str(FLAGS_NORMAL | 2))
    change(database, "expired", accountExpires=str(LONG_AGO))
    change(database, "mustchange", pwdLastSet="0")
    database.modify_ldif(
        f"dn: CN=nohours,CN=Users,{BASE}\nchangetype: modify\nreplace: logonHours\nlogonHours:: {NO_HOURS}\n-\n"
    )
    change(database, "elsewhere", userWorkstations="NOTHERE")
    database.modify_ldif(f"dn: {BASE}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 3\n-\n")


if __name__ == "__main__":
    provision(sys.argv[1])
    populate(sys.argv[1])
