using System.Text.Json;
using Godwit.Qemu;
using Godwit.Qemu.Accelerators;
using Godwit.Qemu.Launch;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

public sealed class QemuArgumentsTests
{
    private static readonly Guid Id = Guid.Parse("11111111-2222-3333-4444-555555555555");

    [Fact]
    public void A_disk_is_an_export_that_is_waited_for_and_never_an_error_in_the_guest()
    {
        var disk = new QemuDisk("disk0", "/run/x/nbd.sock", "disk0") { ReconnectSeconds = 7, OpenSeconds = 3, Serial = "abc" };
        var arguments = QemuArguments.Build(Configuration() with { Kernel = "/k", Disks = [disk] });
        var node = JsonDocument.Parse(After(arguments, "-blockdev")).RootElement;
        Assert.Equal("nbd", node.GetProperty("driver").GetString());
        Assert.Equal("/run/x/nbd.sock", node.GetProperty("server").GetProperty("path").GetString());
        Assert.Equal(7, node.GetProperty("reconnect-delay").GetInt32());
        Assert.Equal(3, node.GetProperty("open-timeout").GetInt32());
        Assert.Equal("unmap", node.GetProperty("discard").GetString());
        var device = JsonDocument.Parse(After(arguments, "-device")).RootElement;
        Assert.Equal(("stop", "stop", "abc"), (
            device.GetProperty("werror").GetString(), device.GetProperty("rerror").GetString(), device.GetProperty("serial").GetString()));
        Assert.False(device.TryGetProperty("bootindex", out _));
        Assert.False(device.TryGetProperty("write-cache", out _));
    }

    [Fact]
    public void A_disk_whose_writes_are_durable_has_no_write_cache()
    {
        var disk = new QemuDisk("disk0", "/s", "disk0") { WriteCache = false };
        var device = JsonDocument.Parse(After(QemuArguments.Build(Configuration() with { Kernel = "/k", Disks = [disk] }), "-device")).RootElement;
        Assert.Equal("off", device.GetProperty("write-cache").GetString());
    }

    [Fact]
    public void Without_a_kernel_the_disks_are_tried_in_their_order()
    {
        var arguments = QemuArguments.Build(Configuration() with
        {
            Disks = [new QemuDisk("a", "/s", "a"), new QemuDisk("b", "/s", "b")],
        });
        var order = arguments.Where(a => a.Contains("virtio-blk-pci", StringComparison.Ordinal))
            .Select(a => JsonDocument.Parse(a).RootElement.GetProperty("bootindex").GetInt32());
        Assert.Equal([1, 2], order);
        Assert.Equal("strict=on", After(arguments, "-boot"));
        Assert.DoesNotContain("-kernel", arguments);
    }

    [Fact]
    public void A_comma_in_a_name_or_path_cannot_add_an_option()
    {
        var configuration = Configuration() with { Name = "a,process=evil", SerialLog = "/log,logappend=off" };
        var arguments = QemuArguments.Build(configuration);
        Assert.Equal("guest=a,,process=evil,debug-threads=on", After(arguments, "-name"));
        Assert.Contains(arguments, a => a.EndsWith("logfile=/log,,logappend=off,logappend=on", StringComparison.Ordinal));
    }

    [Fact]
    public void An_append_line_is_one_argument_whatever_is_in_it()
    {
        var arguments = QemuArguments.Build(Configuration() with { Kernel = "/k", Append = "a \"b\" $(c) ; d" });
        Assert.Equal("a \"b\" $(c) ; d", After(arguments, "-append"));
    }

    [Fact]
    public void The_processor_model_is_the_one_that_was_probed()
    {
        Assert.Equal("host", After(QemuArguments.Build(Configuration() with { Accelerator = AcceleratorKind.Kvm }), "-cpu"));
        Assert.Equal("max", After(QemuArguments.Build(Configuration()), "-cpu"));
    }

    [Fact]
    public void Machine_and_processor_are_those_that_are_asked_for_and_an_incoming_guest_stands_still()
    {
        var arguments = QemuArguments.Build(Configuration() with { Machine = "pc-q35-10.0", Cpu = CpuModels.Compatible, Incoming = true });
        Assert.Equal(("pc-q35-10.0", CpuModels.Compatible, "defer"), (After(arguments, "-machine"), After(arguments, "-cpu"), After(arguments, "-incoming")));
        Assert.Contains("-S", arguments);
        AssertInvalid(Configuration() with { Machine = "q35,accel=kvm" });
        AssertInvalid(Configuration() with { Cpu = "max -daemonize" });
    }

    [Fact]
    public void A_network_adapter_needs_no_rights_and_boots_nothing()
    {
        var arguments = QemuArguments.Build(Configuration() with { Kernel = "/k", Networks = [new QemuNetwork("net0", "52:54:00:00:00:01")] });
        Assert.Equal("""{"type":"user","id":"net0"}""", After(arguments, "-netdev"));
        var device = JsonDocument.Parse(After(arguments, "-device")).RootElement;
        Assert.Equal(("net0", "52:54:00:00:00:01", ""), (
            device.GetProperty("netdev").GetString(), device.GetProperty("mac").GetString(), device.GetProperty("romfile").GetString()));
        AssertInvalid(Configuration() with { Networks = [new QemuNetwork("a,b", "52:54:00:00:00:01")] });
    }

    [Fact]
    public void A_VM_of_an_earlier_godwitd_has_the_devices_it_always_had()
    {
        var arguments = QemuArguments.Build(Configuration() with
        {
            Disks = [new QemuDisk("disk0", "/s", "disk0") { Serial = "disk0" }, new QemuDisk("disk1", "/s", "disk1")],
            Networks = [new QemuNetwork("net0", "52:54:00:00:00:01")],
        });
        Assert.Equal("q35", After(arguments, "-machine"));
        Assert.Equal(
            [
                """{"driver":"virtio-blk-pci","id":"device-disk0","drive":"disk0","serial":"disk0","bootindex":1,"werror":"stop","rerror":"stop"}""",
                """{"driver":"virtio-blk-pci","id":"device-disk1","drive":"disk1","bootindex":2,"werror":"stop","rerror":"stop"}""",
                """{"driver":"virtio-net-pci","id":"device-net0","netdev":"net0","mac":"52:54:00:00:00:01","romfile":""}""",
            ],
            Devices(arguments));
    }

    [Fact]
    public void Drives_are_at_their_controllers_whose_addresses_no_other_device_moves()
    {
        var arguments = QemuArguments.Build(Configuration() with
        {
            ScsiControllers = 2,
            Disks =
            [
                new QemuDisk("disk0", "/s", "disk0") { Place = new QemuPlace(QemuBus.Ide, 1, 0), WriteCache = false },
                new QemuDisk("disk1", "/s", "disk1") { Place = new QemuPlace(QemuBus.Scsi, 1, 63), Serial = "x" },
            ],
            Dvds = [new QemuDvd("dvd0", new QemuPlace(QemuBus.Ide, 0, 1), "/a,b\n.iso"), new QemuDvd("dvd1", new QemuPlace(QemuBus.Scsi, 0, 0), null)],
            BootOrder = ["dvd0", "disk1", "gone"],
        });
        Assert.Equal(
            [
                """{"driver":"piix3-ide","id":"controller-ide","addr":"1c"}""",
                """{"driver":"virtio-scsi-pci","id":"controller-scsi0","addr":"18"}""",
                """{"driver":"virtio-scsi-pci","id":"controller-scsi1","addr":"19"}""",
                """{"driver":"ide-hd","id":"device-disk0","bus":"controller-ide.1","unit":0,"drive":"disk0","write-cache":"off","bootindex":3,"werror":"stop","rerror":"stop"}""",
                """{"driver":"scsi-hd","id":"device-disk1","bus":"controller-scsi1.0","scsi-id":63,"lun":0,"drive":"disk1","serial":"x","bootindex":2,"werror":"stop","rerror":"stop"}""",
                """{"driver":"ide-cd","id":"device-dvd0","bus":"controller-ide.0","unit":1,"drive":"dvd0","bootindex":1}""",
                """{"driver":"scsi-cd","id":"device-dvd1","bus":"controller-scsi0.0","scsi-id":0,"lun":0,"bootindex":4}""",
            ],
            Devices(arguments));
        Assert.Contains("""{"driver":"file","node-name":"dvd0","filename":"/a,b\n.iso","read-only":true}""", arguments);
    }

    [Fact]
    public void UEFI_is_in_two_flash_chips_the_first_of_which_nobody_writes_to()
    {
        var arguments = QemuArguments.Build(Configuration() with { Machine = "pc-q35-10.0", Firmware = new QemuFirmware("/c,x", "/v") });
        Assert.Equal("pc-q35-10.0,pflash0=firmware-code,pflash1=firmware-variables", After(arguments, "-machine"));
        Assert.Contains("""{"driver":"file","node-name":"firmware-code","filename":"/c,x","read-only":true}""", arguments);
        Assert.Contains("""{"driver":"file","node-name":"firmware-variables","filename":"/v","read-only":false}""", arguments);
    }

    [Fact]
    public void A_place_that_is_not_there_or_is_taken_is_refused()
    {
        QemuDisk At(string name, QemuBus bus, int controller, int location) => new(name, "/s", name) { Place = new QemuPlace(bus, controller, location) };
        AssertInvalid(Configuration() with { Disks = [At("a", QemuBus.Ide, 2, 0)] });
        AssertInvalid(Configuration() with { Disks = [At("a", QemuBus.Scsi, 0, 0)] });
        AssertInvalid(Configuration() with { ScsiControllers = 1, Disks = [At("a", QemuBus.Scsi, 0, 64)] });
        AssertInvalid(Configuration() with { ScsiControllers = 5 });
        AssertInvalid(Configuration() with { ScsiControllers = 1, Disks = [At("a", QemuBus.Scsi, 0, 1), At("b", QemuBus.Scsi, 0, 1)] });
        AssertInvalid(Configuration() with { Disks = [At("a", QemuBus.Ide, 0, 1)], Dvds = [new QemuDvd("a", new QemuPlace(QemuBus.Ide, 0, 0), null)] });
        AssertInvalid(Configuration() with { Dvds = [new QemuDvd("a", default, null)] });
        AssertInvalid(Configuration() with { Dvds = [new QemuDvd("a", new QemuPlace(QemuBus.Ide, 0, 0), "/a\0b")] });
    }

    [Theory]
    [InlineData("")]
    [InlineData("0disk")]
    [InlineData("a,b")]
    [InlineData("a b")]
    [InlineData("disk-with-a-name-of-25-ch")]
    public void A_disk_name_that_QEMU_would_refuse_is_refused_first(string name) =>
        AssertInvalid(Configuration() with { Disks = [new QemuDisk(name, "/s", "e")] });

    [Fact]
    public void Values_out_of_range_are_refused()
    {
        AssertInvalid(Configuration() with { Memory = (1 << 20) + 1 });
        AssertInvalid(Configuration() with { Memory = 0 });
        AssertInvalid(Configuration() with { Cpus = 0 });
        AssertInvalid(Configuration() with { Binary = "qemu" });
        AssertInvalid(Configuration() with { Initrd = "/i" });
        AssertInvalid(Configuration() with { Name = "a\0b" });
        AssertInvalid(Configuration() with { Disks = [new QemuDisk("d", "/s", "d"), new QemuDisk("d", "/s", "d")] });
        AssertInvalid(Configuration() with { Disks = [new QemuDisk("d", "/" + new string('x', 107), "d")] });
        AssertInvalid(Configuration() with { Disks = [new QemuDisk("d", "/s", "d") { Serial = new string('x', 21) }] });
    }

    private static QemuConfiguration Configuration() => new("vm", Id, 256L << 20, 1, QemuFiles.In("/run/x", "/state/x"));

    private static IEnumerable<string> Devices(IReadOnlyList<string> arguments) =>
        Enumerable.Range(1, arguments.Count - 1).Where(i => arguments[i - 1] == "-device").Select(i => arguments[i]);

    private static string After(IReadOnlyList<string> arguments, string option)
    {
        var at = arguments.ToList().IndexOf(option);
        Assert.True(at >= 0, $"no {option}");
        return arguments[at + 1];
    }

    private static void AssertInvalid(QemuConfiguration configuration) =>
        Assert.Equal(QemuErrorKind.InvalidConfiguration, Assert.Throws<QemuException>(() => QemuArguments.Build(configuration)).Kind);
}
