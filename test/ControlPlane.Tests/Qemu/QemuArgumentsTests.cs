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

    private static string After(IReadOnlyList<string> arguments, string option)
    {
        var at = arguments.ToList().IndexOf(option);
        Assert.True(at >= 0, $"no {option}");
        return arguments[at + 1];
    }

    private static void AssertInvalid(QemuConfiguration configuration) =>
        Assert.Equal(QemuErrorKind.InvalidConfiguration, Assert.Throws<QemuException>(() => QemuArguments.Build(configuration)).Kind);
}
