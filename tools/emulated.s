# A ROM in the place of the BIOS that calls functions of a Go program with AVX-512 and AMX turned on: no operating system,
# for none gives a process the tiles of an emulated processor. emulated.sh says how it is used; backend/cpu/internal/image
# writes what it reads. as, ld -Ttext 0xf0000 -oformat binary.

	.set	cases, 0x4000000	# qwords: how many; for each the function, five arguments, result, want, their bytes
	.set	case, 9*8
	.set	tables, 0x10000	# of pages
	.set	goroutine, tables + 0x3000
	.set	stack, 0x90000

	.code16
	.globl	_start
_start:
	cli
	movb	$2, %al		# address line 20
	outb	%al, $0x92
	lgdtl	%cs:descriptor - _start
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $protected

	.code32
protected:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$stack, %esp
	# The first GiB where it lies, in pages of 2 MiB; the last of them, after which there is none, is of memory, too.
	cld
	movl	$tables, %edi
	xorl	%eax, %eax
	movl	$3*1024, %ecx
	rep stosl
	movl	$tables + 0x1003, tables
	movl	$tables + 0x2003, tables + 0x1000
	movl	$tables + 0x2000, %edi
	movl	$0x83, %eax
	movl	$512, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$0xe000083, tables + 0x2000 + 511*8
	movl	$1<<5 | 1<<9 | 1<<10 | 1<<18, %eax	# PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
	movl	%eax, %cr4
	movl	$tables, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	# EFER: long mode
	rdmsr
	orl	$1<<8, %eax
	wrmsr
	movl	$1<<31 | 1<<5 | 1<<1 | 1, %eax	# PG, NE, MP, PE
	movl	%eax, %cr0
	ljmpl	$24, $long

	.code64
long:
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$0x600e7, %eax	# x87, SSE, AVX, AVX-512, the configuration of tiles and their data
	xsetbv
	movl	$0xc0000100, %ecx	# FS_BASE, from below which Go's wrappers load the goroutine
	movl	$goroutine + 0x800, %eax
	wrmsr
	movw	$0x3fb, %dx	# the serial port: 8 bits, 115200 baud
	movb	$0x83, %al
	outb	%al, %dx
	movw	$0x3f8, %dx
	movw	$1, %ax
	outw	%ax, %dx
	movw	$0x3fb, %dx
	movb	$3, %al
	outb	%al, %dx

	# Bochs gives a block of 8 MiB its memory when it is first touched, and has read the file as if those of the calls
	# followed each other: so they do.
	movl	$cases, %esi
	movl	$17, %ecx
1:	movb	(%rsi), %al
	addl	$8<<20, %esi
	loop	1b

	movq	cases, %rbp	# how many are left: Go keeps rbp
	movq	$cases + 8, next
each:
	testq	%rbp, %rbp
	je	end
	movq	next, %r12
	movq	8(%r12), %rax	# Go's ABIInternal: arguments, a goroutine whose stack is never at its end, a zero
	movq	16(%r12), %rbx
	movq	24(%r12), %rcx
	movq	32(%r12), %rdi
	movq	40(%r12), %rsi
	movq	$goroutine, %r14
	xorps	%xmm15, %xmm15
	call	*(%r12)
	movq	next, %r12
	movq	48(%r12), %rsi
	movq	56(%r12), %rdi
	movq	64(%r12), %rcx
	cld
	repe cmpsb
	movb	$'.', %al
	je	1f
	movb	$'F', %al
1:	call	say
	addq	$case, next
	decq	%rbp
	jmp	each
end:
	leaq	shutdown(%rip), %rsi	# Bochs ends when it reads this on its port
	movw	$0x8900, %dx
	movl	$8, %ecx
	rep outsb
	hlt

say:
	movw	$0x3f8, %dx
	outb	%al, %dx
	movw	$0x3fd, %dx
1:	inb	%dx, %al
	testb	$0x40, %al	# until it is sent
	je	1b
	ret

shutdown:
	.ascii	"Shutdown"

	.set	next, 0x8000
	.balign	8
segments:
	.quad	0
	.quad	0x00cf9a000000ffff	# 32-bit code, data, 64-bit code
	.quad	0x00cf92000000ffff
	.quad	0x00af9a000000ffff
descriptor:
	.word	. - segments - 1
	.long	segments

	.org	0xfff0
	.code16
	ljmpw	$0xf000, $0	# where a processor begins
	.org	0x10000
