using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class VmCommandTests
{
    private const string OneVm = """
        {
          "id": "0a0b0c0d-1111-2222-3333-444455556666",
          "name": "web",
          "state": "Running",
          "settings": {
            "memory": 2147483648,
            "cpus": 2,
            "compatibilityForMigration": false,
            "serial": "/srv/vms/web.log",
            "automaticStartAction": "StartIfRunning",
            "automaticStartDelay": 0,
            "automaticStopAction": "Save",
            "automaticCriticalErrorAction": "Pause",
            "automaticCriticalErrorActionTimeout": 30,
            "checkpointType": "Production"
          },
          "disks": [
            {
              "name": "disk0",
              "path": "/srv/vms/web.vhdx",
              "format": "VhdxDynamic",
              "size": 42949672960
            },
            {
              "name": "disk1",
              "path": "/srv/vms/data.img",
              "format": "Raw",
              "size": 536870912
            }
          ],
          "path": "/vms/web",
          "accelerator": "tcg",
          "acceleratorReason": "/dev/kvm cannot be opened",
          "qemuProcessId": 4711,
          "workerProcessId": 4712,
          "generation": 1
        }

        """;

    [Fact(Timeout = 30_000)]
    public async Task A_list_is_a_table()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, Json([Samples.Vm(job: Samples.JobId), Samples.Vm("db\e[2J", VirtualMachineState.Off)])));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "list");
        Assert.Equal(
            """
            NAME    STATE    CPUS  MEMORY  DISKS  JOB
            web     Running     2   2 GiB      2  3f2a9c01
            db?[2J  Off         2   2 GiB      2

            """,
            result.Out);
        Assert.Equal(("", ExitCode.Ok), (result.Error, result.Code));
    }

    [Fact(Timeout = 30_000)]
    public async Task On_a_terminal_a_list_has_colours_unless_they_are_not_wanted()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, Json([Samples.Vm()])));
        using var coloured = CliRun.Against(daemon, terminal: true);
        Assert.Equal(
            "\e[1mNAME  STATE    CPUS  MEMORY  DISKS  JOB\e[0m\n\e[32mweb   Running     2   2 GiB      2\e[0m\n",
            (await coloured.RunAsync("vm", "list")).Out);
        using var plain = CliRun.Against(daemon, terminal: true);
        plain.Variables["NO_COLOR"] = "1";
        Assert.DoesNotContain('\e', (await plain.RunAsync("vm", "list")).Out);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("vm", "list")]
    [InlineData("job", "list")]
    public async Task An_empty_list_is_an_empty_array_and_says_so_to_people(string noun, string verb)
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, "[]"));
        using var json = CliRun.Against(daemon);
        Assert.Equal(new CliResult(ExitCode.Ok, "[]\n", ""), await json.RunAsync(noun, verb, "--json"));
        using var text = CliRun.Against(daemon);
        var result = await text.RunAsync(noun, verb);
        Assert.Equal("", result.Out);
        Assert.StartsWith("no ", result.Error, StringComparison.Ordinal);
        using var quiet = CliRun.Against(daemon);
        Assert.Equal(new CliResult(ExitCode.Ok, "", ""), await quiet.RunAsync(noun, verb, "--quiet"));
    }

    [Fact(Timeout = 30_000)]
    public async Task Show_has_every_field_that_is_set()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            """
            Name:         web
            Id:           0a0b0c0d-1111-2222-3333-444455556666
            State:        Running
            Generation:   1 (BIOS)
            Memory:       2 GiB
            CPUs:         2
            Serial:       /srv/vms/web.log
            Folder:       /vms/web
            Accelerator:  tcg (/dev/kvm cannot be opened)
            QEMU:         process 4711
            Worker:       process 4712

            DISK      SIZE  FORMAT  CACHE      CONTROLLER  PATH
            disk0   40 GiB  vhdx    writeback  virtio      /srv/vms/web.vhdx
            disk1  512 MiB  raw     writeback  virtio      /srv/vms/data.img

            """,
            (await run.RunAsync("vm", "show", "web")).Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task Show_tells_cache_modes_and_what_is_missing()
    {
        var vm = Samples.Vm() with
        {
            Disks =
            [
                new Disk("disk0", "/mnt/a.img", DiskFormat.Raw, 1 << 30, DiskCache.None, ["/mnt/a.img: no locks\e[2J", "/mnt/a.img: no O_DIRECT"], ControllerType.Scsi, 0, 3),
                new Disk("disk1", "/mnt/b.img", DiskFormat.Raw, 1 << 30, DiskCache.Writethrough),
            ],
            DvdDrives = [new DvdDrive("dvd0", ControllerType.Ide, 1, 0, "/srv/d\e[2J.iso"), new DvdDrive("dvd1", ControllerType.Scsi, 0, 4)],
        };
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(vm, ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        Assert.EndsWith(
            """
            DISK    SIZE  FORMAT  CACHE         CONTROLLER  PATH
            disk0  1 GiB  raw     none          scsi 0:3    /mnt/a.img
            disk1  1 GiB  raw     writethrough  virtio      /mnt/b.img

            DVD   CONTROLLER  DISC
            dvd0  ide 1:0     /srv/d?[2J.iso
            dvd1  scsi 0:4

            DISK   MISSING PROTECTION
            disk0  /mnt/a.img: no locks?[2J
            disk0  /mnt/a.img: no O_DIRECT

            """,
            (await run.RunAsync("vm", "show", "web")).Out,
            StringComparison.Ordinal);
        var json = (await run.RunAsync("vm", "show", "web", "--json")).Out;
        Assert.Contains("\"cache\": \"None\"", json, StringComparison.Ordinal);
        Assert.Contains("\"/mnt/a.img: no O_DIRECT\"", json, StringComparison.Ordinal);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Json_is_the_Api_record_on_a_terminal_too(bool terminal)
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon, terminal);
        Assert.Equal(OneVm, (await run.RunAsync("vm", "show", "web", "--json")).Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task Create_sends_absolute_paths_and_bytes()
    {
        await using var daemon = FakeDaemon.Answering(_ => (201, JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync(
            "vm", "create", "web", "--memory", "2G", "--cpus", "2", "--disk", "web.vhdx,size=40G", "--disk", "../d,,1.img,format=raw",
            "--kernel", "vmlinuz", "--initrd", "/boot/initrd", "--append", "console=ttyS0 quiet", "--serial", "log/web.log",
            "--network", "nat", "--network", "lan,mac=52:54:00:00:00:01", "--automatic-start", "start", "--automatic-stop", "shut-down");
        Assert.Equal((ExitCode.Ok, ""), (result.Code, result.Out));
        Assert.Equal("created VM web; start it with: godwit vm start web\n", result.Error);
        var sent = JsonSerializer.Deserialize(Assert.Single(daemon.Requests).Body, ApiJson.Default.VirtualMachineSpec)!;
        Assert.Equal([new DiskSpec("/home/me/web.vhdx", 40L << 30), new DiskSpec("/home/d,1.img", null, DiskFormat.Raw)], sent.Disks);
        Assert.Equal([new NetworkAdapter(), new NetworkAdapter("lan", "52:54:00:00:00:01")], sent.Settings.Networks);
        Assert.Equal(
            new VirtualMachineSpec(
                "web",
                new VirtualMachineSettings
                {
                    Memory = 2L << 30,
                    Cpus = 2,
                    Kernel = "/home/me/vmlinuz",
                    Initrd = "/boot/initrd",
                    Append = "console=ttyS0 quiet",
                    Serial = "/home/me/log/web.log",
                    Networks = sent.Settings.Networks,
                    AutomaticStartAction = StartAction.Start,
                    AutomaticStopAction = StopAction.ShutDown,
                },
                sent.Disks),
            sent);
    }

    [Fact(Timeout = 30_000)]
    public async Task Create_has_defaults_and_writes_the_VM_as_json()
    {
        await using var daemon = FakeDaemon.Answering(_ => (201, JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        Assert.Equal(new CliResult(ExitCode.Ok, OneVm, ""), await run.RunAsync("vm", "create", "web", "--json"));
        var sent = JsonSerializer.Deserialize(Assert.Single(daemon.Requests).Body, ApiJson.Default.VirtualMachineSpec)!;
        Assert.Equal((512L << 20, 1, 0), (sent.Settings.Memory, sent.Settings.Cpus, sent.Disks.Count));
    }

    [Fact(Timeout = 30_000)]
    public async Task Create_says_generation_drives_and_boot_order_and_a_disc_is_put_in()
    {
        await using var daemon = FakeDaemon.Answering(_ => (201, JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        await run.RunAsync(
            "vm", "create", "web", "--generation", "2", "--disk", "a.vhdx,controller=scsi,location=2", "--dvd", "i.iso", "--dvd", "", "--boot-order", "dvd0, disk0");
        Assert.EndsWith("dvd0 of VM web has /home/me/i.iso\n", (await run.RunAsync("vm", "dvd", "web", "--insert", "i.iso")).Error, StringComparison.Ordinal);
        Assert.EndsWith("dvd1 of VM web is empty\n", (await run.RunAsync("vm", "dvd", "web", "--drive", "dvd1", "--eject")).Error, StringComparison.Ordinal);
        var requests = daemon.Requests.ToArray();
        var sent = JsonSerializer.Deserialize(requests[0].Body, ApiJson.Default.VirtualMachineSpec)!;
        Assert.Equal(2, sent.Generation);
        Assert.Equal(["dvd0", "disk0"], sent.Settings.BootOrder!);
        Assert.Equal([new DvdDriveSpec("/home/me/i.iso"), new DvdDriveSpec()], sent.DvdDrives);
        Assert.Equal(new DiskSpec("/home/me/a.vhdx", null, null, null, ControllerType.Scsi, null, 2), Assert.Single(sent.Disks));
        Assert.Equal(["PUT /v1/vms/web/dvd-drives/dvd0", "PUT /v1/vms/web/dvd-drives/dvd1"], requests[1..].Select(request => request.ToString()));
        Assert.Equal(["""{"path":"/home/me/i.iso"}""", "{}"], requests[1..].Select(request => request.Body));
    }

    [Fact(Timeout = 30_000)]
    public async Task Stop_says_how_it_is_to_be_done()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(Samples.Vm(state: VirtualMachineState.Off), ApiJson.Default.VirtualMachine)));
        using var run = CliRun.Against(daemon);
        Assert.Equal("VM web is off\n", (await run.RunAsync("vm", "stop", "web", "--turn-off", "--timeout", "7")).Error);
        Assert.Equal("""{"turnOff":true,"timeoutSeconds":7}""", Assert.Single(daemon.Requests).Body);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(new string[0], "DELETE /v1/vms/web", "removed VM web; its disks were left where they are\n")]
    [InlineData(new[] { "--force", "--delete-disks" }, "DELETE /v1/vms/web?deleteDisks=true&force=true", "removed VM web and its disks\n")]
    public async Task Removal_says_what_became_of_the_disks(string[] options, string request, string said)
    {
        await using var daemon = FakeDaemon.Answering(_ => (204, ""));
        using var run = CliRun.Against(daemon);
        Assert.Equal(new CliResult(ExitCode.Ok, "", said), await run.RunAsync(["vm", "remove", "web", .. options]));
        Assert.Equal(request, Assert.Single(daemon.Requests).ToString());
    }

    [Theory(Timeout = 30_000)]
    [InlineData("NotFound", ExitCode.NotFound)]
    [InlineData("Busy", ExitCode.Failed)]
    [InlineData("Cancelled", ExitCode.Cancelled)]
    public async Task A_problem_is_told_with_its_remedy_and_its_exit_code(string code, int exit)
    {
        await using var daemon = FakeDaemon.Answering(_ => (400, $$"""{"code":"{{code}}","title":"it is so\u001b[2J","remedy":"do this"}"""));
        using var run = CliRun.Against(daemon);
        Assert.Equal(new CliResult(exit, "", "error: it is so?[2J\nremedy: do this\n"), await run.RunAsync("vm", "start", "web", "--quiet"));
    }

    [Fact(Timeout = 30_000)]
    public async Task The_token_comes_from_variable_or_file_and_host_from_the_option_first()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["token"], "from-file\n", TestContext.Current.CancellationToken);
        await using var daemon = FakeDaemon.Answering(_ => (200, "[]"));
        using var run = new CliRun { Folder = folder.Path, Variables = new() { ["GODWIT_HOST"] = "unix:/nonexistent", ["GODWIT_TOKEN_FILE"] = "token" } };
        Assert.Equal(ExitCode.Ok, (await run.RunAsync("vm", "list", "--host", daemon.Address)).Code);
        run.Variables["GODWIT_TOKEN"] = "direct";
        Assert.Equal(ExitCode.Ok, (await run.RunAsync("--host", daemon.Address, "job", "list")).Code);
        Assert.Equal(["Bearer from-file", "Bearer direct"], daemon.Requests.Select(request => request.Authorization));
    }

    [Fact(Timeout = 30_000)]
    public async Task Interrupting_a_call_ends_it_with_2()
    {
        await using var daemon = new FakeDaemon((_, _, token) => Task.Delay(Timeout.Infinite, token));
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync("vm", "stop", "web");
        while (daemon.Requests.IsEmpty)
            await Task.Delay(5, TestContext.Current.CancellationToken);
        run.Interrupt();
        Assert.Equal(new CliResult(ExitCode.Cancelled, "", "cancelled\n"), await running);
    }

    [Fact(Timeout = 30_000)]
    public async Task Host_show_tells_what_the_host_says()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200,
            """{"name":"h1","version":"0.1.0","processId":7,"acceleratorReason":"no QEMU","virtualMachines":3,"runningVirtualMachines":1,"activeJobs":0,"storageMoveLimit":2,"allowedRoots":["/srv"]}"""));
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            $"""
            Name:             h1
            Version:          0.1.0
            godwitd:          process 7 at {daemon.Address}
            Accelerator:      none (no QEMU)
            VMs:              3, 1 running
            Active jobs:      0
            Moves at once:    2
            Allowed folders:  /srv

            """,
            (await run.RunAsync("host", "show")).Out);
    }

    private static string Json(IReadOnlyList<VirtualMachine> vms) => JsonSerializer.Serialize(vms, ApiJson.Default.IReadOnlyListVirtualMachine);
}
