using System.Runtime.InteropServices;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Sandbox;

/// <summary>The seccomp filter: a list of what is allowed, EPERM for the rest. An error is better than a dead worker: the log says
/// what failed, and the guest goes on.</summary>
internal static unsafe class CallFilter
{
    private const long SeccompCall = 317;
    private const int SetFilter = 1, AllThreads = 1;
    private const uint X64 = 0xc000003e, OtherTable = 0x40000000;
    private const uint Allow = 0x7fff0000, Refuse = 0x00050000;
    private const uint NotPermitted = 1, NoSuchCall = 38, NoSuchFamily = 97;
    private const ushort Load = 0x20, IfEqual = 0x15, IfAtLeast = 0x35, IfAnyBit = 0x45, Return = 0x06;
    private const uint NumberAt = 0, ArchitectureAt = 4, FirstArgument = 16;

    /// <summary>Puts the filter in front of every thread of this process, for good.</summary>
    /// <param name="links">Connections to other hosts may be made.</param>
    /// <returns>Null, or why it is not there.</returns>
    internal static string? Apply(bool links)
    {
        if (KernelFeatures.Hidden("seccomp"))
            return "the kernel has no system call filter";
        var program = CollectionsMarshal.AsSpan(Build((uint)Environment.ProcessId, links));
        fixed (Instruction* first = program)
        {
            var description = new Program { Length = (ushort)program.Length, First = first };
            return LibC.Call(SeccompCall, SetFilter, AllThreads, (nint)(&description), 0) switch
            {
                0 => null,
                > 0 and var thread => $"the system call filter could not be put in front of thread {thread}",
                _ => $"the system call filter was refused: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}",
            };
        }
    }

    /// <summary>The filter as the kernel's little machine runs it.</summary>
    /// <remarks>Calls that are allowed whatever their arguments cost next to nothing: the kernel finds out once and keeps a bitmap.</remarks>
    internal static List<Instruction> Build(uint process, bool links)
    {
        List<Instruction> program =
        [
            new(Load, ArchitectureAt), new(IfEqual, X64, 1, 0), new(Return, Refuse | NoSuchCall),
            new(Load, NumberAt), new(IfAtLeast, OtherTable, 0, 1), new(Return, Refuse | NoSuchCall),
        ];
        foreach (var call in AllowedCalls.Any)
            program.AddRange([new(IfEqual, call, 0, 1), new(Return, Allow)]);
        // Its flags are behind a pointer, which a filter cannot follow; the C library then takes clone.
        program.AddRange([new(IfEqual, AllowedCalls.CloneByStructure, 0, 1), new(Return, Refuse | NoSuchCall)]);
        program.AddRange(
        [
            new(IfEqual, AllowedCalls.Clone, 0, 4), new(Load, FirstArgument),
            new(IfAnyBit, AllowedCalls.NewThread, 0, 1), new(Return, Allow), new(Return, Refuse | NotPermitted),
        ]);
        OnlyWith(program, AllowedCalls.Socket, 0, links ? AllowedCalls.FamiliesOfLinks : [1], NoSuchFamily);
        if (links)
            program.AddRange([new(IfEqual, AllowedCalls.Connect, 0, 1), new(Return, Allow)]);
        OnlyWith(program, AllowedCalls.SocketPair, 0, [1], NoSuchFamily);
        OnlyWith(program, AllowedCalls.Control, 1, AllowedCalls.ControlRequests, NotPermitted);
        OnlyWith(program, AllowedCalls.ProcessControl, 0, AllowedCalls.ProcessRequests, NotPermitted);
        OnlyWith(program, AllowedCalls.Kill, 0, [process], NotPermitted);
        OnlyWith(program, AllowedCalls.ThreadKill, 0, [process], NotPermitted);
        OnlyWith(program, AllowedCalls.Affinity, 0, [0], NotPermitted);
        OnlyWith(program, AllowedCalls.ProcessLimits, 0, [0, process], NotPermitted);
        program.Add(new(Return, Refuse | NotPermitted));
        return program;
    }

    /// <summary>Allows a call only if an argument has one of some values. All of these are 32 bits wide for the kernel.</summary>
    private static void OnlyWith(List<Instruction> program, ushort call, int argument, ReadOnlySpan<uint> values, uint error)
    {
        program.Add(new(IfEqual, call, 0, (byte)(values.Length * 2 + 2)));
        program.Add(new(Load, FirstArgument + (uint)argument * 8));
        foreach (var value in values)
            program.AddRange([new(IfEqual, value, 0, 1), new(Return, Allow)]);
        program.Add(new(Return, Refuse | error));
    }

    /// <summary>The kernel's struct sock_filter.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly record struct Instruction(ushort Code, byte IfTrue, byte IfFalse, uint Value)
    {
        internal Instruction(ushort code, uint value, byte ifTrue = 0, byte ifFalse = 0)
            : this(code, ifTrue, ifFalse, value)
        {
        }
    }

    /// <summary>The kernel's struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Program
    {
        internal ushort Length;
        internal Instruction* First;
    }
}
